"""Live batches, looked at now and then: when, what is said, and what follows."""

import itertools
from dataclasses import replace

import pytest

from server.contract.wire import Broken, Dependent, Done, Ran
from server.inference.sampling import SHARE, Sampler
from server.inference.stages import Ended
from server.models.card import find_model
from tests import models, odd_models
from tests.server.inference.bench import kinds, plain
from tests.server.inference.test_engine import SerialBench

DARK, RED = plain("black", 32), plain("red", 32)


@pytest.fixture
def tricky(tmp_path):
    """An engine with a model that warming up finds nothing wrong with, and a sampler that may look at every batch."""
    located = find_model(odd_models.wrong_with_red_company(tmp_path / "m.onnx"))
    bench = SerialBench(located.model_file, card=replace(located.card, input=models.AS_IT_IS))
    bench.sampler._worked = 1e9
    return bench


def reports(frames):
    return [message for message, _ in frames if isinstance(message, Dependent)]


def test_batch_of_independent_images_is_nothing_to_report(tricky):
    """Though it was looked at."""
    assert [Ran, Done, Done] == kinds(tricky.turn(DARK, DARK))
    assert tricky.sampler._spent > 0


def test_worker_falls_back_to_one_image_at_a_time(tricky):
    """At the second answer that differs: what is there then is not run together any more."""
    first = reports(tricky.turn(RED, DARK))  # the second is looked at, then the first
    frames = tricky.turn(DARK, RED)
    again = reports(frames)

    after = tricky.turn(DARK, RED)
    assert [False, True] == [report.separate for report in first + again]
    assert all(report.reason.startswith("in a batch of 2 its output 'scores' is") for report in first + again)
    assert ([Ran, Done], 1) == (kinds(after), after[1][0].batch)
    assert tricky.inbox.has_job()


def test_one_answer_that_differs_is_reported_and_forgotten(tricky):
    """It may have been two candidates of equal rank. Four batches that follow are looked at, and are well."""
    said = [tricky.turn(RED, DARK), *(tricky.turn(DARK, DARK) for _ in range(4)), tricky.turn(DARK, RED)]

    assert [False, False] == [report.separate for report in itertools.chain(*map(reports, said))]


def test_a_suspicion_is_followed_up_at_once(tricky):
    """Whatever share of the time that takes."""
    tricky.turn(RED, DARK)
    tricky.sampler._worked = 0.0

    assert reports(tricky.turn(DARK, RED))[0].separate


def test_looking_takes_a_bounded_share_of_the_models_time(tmp_path):
    """1 % of a core is twice what it may."""
    bench = SerialBench(models.dense(tmp_path / "m.onnx"))

    class Looking(Sampler):
        looked = 0

        def _judge(self, why, size):
            self.looked += 1
            self._spent += 0.02

    sampler = Looking(bench.session, bench.sampler._output, 0.02, bench.sent)
    bench.put(DARK, DARK)
    filled = [bench.filler.fill(bench.inbox.take(), slot) for slot in range(2)]
    outputs = bench.session.run([0, 1])
    for _ in range(10_000):
        sampler.look(filled, [Ended(filled, 0.01, outputs)])

    assert 0 < sampler.looked * 0.02 <= SHARE * 10_000 * 0.01


def test_a_failed_batch_is_not_looked_at(tricky):
    """It was run in halves, or has no rows."""
    bench = tricky
    bench.put(DARK, DARK)
    filled = [bench.filler.fill(bench.inbox.take(), slot) for slot in range(2)]

    bench.sampler.look(filled, [Ended(filled, 1.0, (), "it failed")])
    bench.sampler.look(filled, [Ended(filled[:1], 1.0, ()), Ended(filled[1:], 1.0, ())])

    assert not [each for each in kinds(bench.sent.take()) if each in (Dependent, Broken)]
    assert 0 == bench.sampler._spent


def test_worker_that_is_told_so_runs_one_image_at_a_time(tricky):
    """By the engine, since another worker has found out."""
    tricky.sampler.separate()

    frames = tricky.turn(DARK, DARK)

    assert [Ran, Done] == kinds(frames)
    assert 1 == tricky.session.max_batch
