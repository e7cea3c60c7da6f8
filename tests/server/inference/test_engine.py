"""The worker's loop on a real session: who is decoded, who is run together, and what each is answered."""

import io
import json
import time

import numpy as np
import pytest
from PIL import Image

from preprocess.limits import Limits
from server.dispatch.wire import Broken, Done, FrameReader, Ran, Rejected, Skipped
from server.inference.answer import Answerer
from server.inference.card import Output, find_model
from server.inference.engine import Engine
from server.inference.inbox import Inbox, Job
from server.inference.session import OutputError, Session
from tests.models import dense, fussy
from tests.photos import photo

FAR = time.monotonic() + 3600


class Bench:
    """An engine whose frames are collected, driven one batch at a time."""

    def __init__(self, model, batch=8, card=None):
        located = find_model(model)
        self.session = Session(located.model_file, card or located.card, 8)
        self.inbox = Inbox()
        self.sent = b""
        answerer = Answerer(Output(), probabilities=True)
        self.engine = Engine(self.session, answerer, Limits(), batch, self.inbox, self.send)

    def send(self, frames):
        self.sent += frames

    def turn(self, *payloads, deadline=FAR):
        """Put these in, run one batch, and give back the messages sent."""
        for seq, payload in enumerate(payloads):
            self.inbox.put(Job(seq, deadline, payload))
        if filled := self.engine.fill():
            self.send(self.engine.run(filled))
        frames, self.sent = list(FrameReader().feed(self.sent)), b""
        return frames


def grey(level):
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def plain(tmp_path):
    return Bench(dense(tmp_path / "m.onnx"))


@pytest.fixture
def fussy_bench(tmp_path):
    from dataclasses import replace

    from preprocess.recipe import Recipe

    located = find_model(fussy(tmp_path / "fussy.onnx"))
    card = replace(located.card, recipe=Recipe(width=8, height=8))
    return lambda batch: Bench(located.model_file, batch, card)


def kinds(frames):
    return [type(message) for message, _ in frames]


def test_what_is_there_runs_as_one_batch(plain):
    """Three images, one run, three answers that name their batch."""
    frames = plain.turn(photo(1), photo(2), photo(3))

    assert [Ran, Done, Done, Done] == kinds(frames)
    assert 3 == frames[0][0].size
    assert [(0, 3), (1, 3), (2, 3)] == [(message.seq, message.batch) for message, _ in frames[1:]]


def test_batch_is_no_larger_than_pays(tmp_path):
    """The rest stays in the inbox, where it can still be taken back."""
    bench = Bench(dense(tmp_path / "m.onnx"), batch=2)

    assert [Ran, Done, Done] == kinds(bench.turn(photo(1), photo(2), photo(3)))
    assert bench.inbox.remove(2)


def test_bad_image_is_answered_at_once_and_leaves_no_hole(plain):
    """Its neighbours' rows are their own: the slot is used by the next image."""
    alone = [json.loads(b"{" + plain.turn(photo(n))[1][1] + b"}") for n in (1, 3)]

    frames = plain.turn(photo(1), b"nonsense", photo(3))

    assert [Rejected, Ran, Done, Done] == kinds(frames)
    assert (1, "not_an_image") == (frames[0][0].seq, frames[0][0].code)
    assert alone == [json.loads(b"{" + payload + b"}") for _, payload in frames[2:]]


def test_expired_image_is_not_decoded(plain):
    """Nothing is started after its deadline; nonsense that had been decoded would have been rejected."""
    assert [Skipped] == kinds(plain.turn(b"nonsense", deadline=time.monotonic()))


def test_row_that_is_not_finite_fails_alone(fussy_bench):
    """A black image has no logarithm; the next batch is well."""
    bench = fussy_bench(1)

    assert [Ran, Broken] == kinds(bench.turn(grey(0)))
    assert [Ran, Done] == kinds(bench.turn(grey(9)))


def test_wrong_number_of_rows_fails_the_batch_and_shifts_no_answer(fussy_bench):
    """Two images, one row: whose it is nobody knows, so neither gets it."""
    bench = fussy_bench(8)

    assert [Broken, Broken] == kinds(bench.turn(grey(9), grey(99)))
    assert [Ran, Done] == kinds(bench.turn(grey(9)))


def test_session_says_what_is_wrong_with_the_rows(fussy_bench):
    """For the log: how many images gave which shape."""
    with pytest.raises(OutputError, match=r"3 images gave an output of shape \(2, 2\)"):
        fussy_bench(8).session.run(3)


def test_warm_up_measures_sizes_and_leaves_clean_slots(plain):
    """1, 2, ... while a larger batch gains; the noise it runs on does not stay in the slots."""
    warmth = plain.session.warm_up()

    sizes = list(warmth.profile.sizes)
    assert [1, 2, 4, 8][: len(sizes)] == sizes
    assert len(sizes) >= 2
    assert not np.any(plain.session.slots)
