"""A worker's side of its start-up benchmark, with a real model."""

import time
from queue import SimpleQueue

import pytest

from server.contract.wire import Begin, FrameReader, Load, Loaded, Prepare, Prepared, Trial, TrialFailed, TrialResult
from server.inference.model import open_model
from server.inference.onnx.session import Session
from server.inference.pictures import photo
from server.inference.trials import StartUpBenchmark, time_batches
from server.models.card import find_model
from tests import models


class Slow(Session):
    """The model, whose next run takes `stalls` seconds longer."""

    stalls = 0.0

    def run(self, slots):
        time.sleep(self.stalls)
        self.stalls = 0.0
        return super().run(slots)


def follow(path, *orders):
    """What a start-up benchmark answers to each order, and the model it ends with."""
    located, load = find_model(path), Load(str(path), 8, 1000)
    told = SimpleQueue()
    for order in orders:
        told.put(order)
    said = []
    model = StartUpBenchmark(located, load, open_model(located, 8)).run(told.get, said.append)
    return [message for message, _ in FrameReader().feed(b"".join(said))], model


def threads_of(model):
    return model.session._session.get_session_options().intra_op_num_threads


def test_each_order_is_answered_and_begin_ends_it(tmp_path):
    """It says first what it is loaded with."""
    one, two = Trial(1, 4, time.monotonic(), 0.0), Trial(2, 1, time.monotonic(), 0.0)

    said, model = follow(models.dense(tmp_path / "m.onnx"), one, Prepare(2), two, Begin(1))

    assert [Loaded, TrialResult, Prepared, TrialResult] == [type(message) for message in said]
    assert model.warmth.batch == said[0].batch
    assert [2, 2] == [message.batches for message in said if isinstance(message, TrialResult)]
    assert not model.session.slots.any()


@pytest.mark.parametrize(("orders", "threads"), [((), 1), ((Prepare(2),), 1), ((Prepare(2),), 2), ((), 2)])
def test_model_is_served_with_the_threads_that_were_chosen(tmp_path, orders, threads):
    """Whether it was prepared or not; it is warm."""
    _, model = follow(models.dense(tmp_path / "m.onnx"), *orders, Begin(threads))

    assert threads == threads_of(model)
    assert model.warmth.profile.sizes


def test_trial_that_fails_is_reported_and_the_audition_goes_on(tmp_path):
    """A model that takes one image at a time is given two."""
    model = models.dense(tmp_path / "m.onnx", batch=1)

    said, _ = follow(model, Trial(1, 2, time.monotonic(), 0.0), Trial(1, 1, time.monotonic(), 0.0), Begin(1))

    assert [Loaded, TrialFailed, TrialResult] == [type(message) for message in said]
    assert said[1].reason


def test_trial_begins_on_time_and_lasts_as_long_as_told(tmp_path):
    """So that all workers run at the same time."""
    located = find_model(models.dense(tmp_path / "m.onnx"))
    session = Session(located.model_file, located.card, 8)
    begin = time.monotonic() + 0.05

    tried = time_batches(session, photo(), 2, begin, 0.05)

    assert time.monotonic() >= begin + 0.05
    assert tried.batches > 2
    assert tried.batch_s * tried.batches < 0.2


def test_one_stall_does_not_count(tmp_path):
    """A quarter of the batches may be slow."""
    located = find_model(models.dense(tmp_path / "m.onnx"))
    session = Slow(located.model_file, located.card, 8)
    session.stalls = 0.2

    assert time_batches(session, photo(), 1, time.monotonic(), 0.3).batch_s < 0.1
