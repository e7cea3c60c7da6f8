"""The worker's loop on a real session: who is decoded, who is run together, and what each is answered."""

import time
from dataclasses import replace

import pytest
from onnx import TensorProto

from server.contract.wire import Broken, Done, FrameReader, Ran, Rejected, Skipped
from server.inference.engine import Engine
from server.inference.inbox import Job
from server.models.card import find_model
from server.models.errors import OutputError
from server.models.output_spec import Output
from tests.models import AS_IT_IS, dense, fussy, picky, takes
from tests.photos import photo
from tests.server.inference.bench import FAR, Bench, grey, kinds, members


class SerialBench(Bench):
    """An engine driven one batch at a time."""

    def __init__(self, model, batch=8, card=None):
        super().__init__(model, card=card)
        self.engine = Engine(self.filler, self.runner, self.sampler, batch, self.inbox, self.sent)

    def turn(self, *payloads, deadline=FAR):
        """Put these in, run one batch, and give back the messages sent."""
        self.put(*payloads, deadline=deadline)
        if filled := self.engine.fill():
            self.engine.run(filled)
        return self.sent.take()


@pytest.fixture
def plain(tmp_path):
    return SerialBench(dense(tmp_path / "m.onnx"))


@pytest.fixture
def fussy_bench(tmp_path):
    located = find_model(fussy(tmp_path / "fussy.onnx"))
    card = replace(located.card, input=AS_IT_IS)
    return lambda batch: SerialBench(located.model_file, batch, card)


def test_what_is_there_runs_as_one_batch(plain):
    """Three images, one run, three answers that name their batch."""
    frames = plain.turn(photo(1), photo(2), photo(3))

    assert [Ran, Done, Done, Done] == kinds(frames)
    assert 3 == frames[0][0].size
    assert [(0, 3), (1, 3), (2, 3)] == [(message.seq, message.batch) for message, _ in frames[1:]]


def test_batch_is_no_larger_than_pays(tmp_path):
    """The rest stays in the inbox, where it can still be taken back."""
    bench = SerialBench(dense(tmp_path / "m.onnx"), batch=2)

    assert [Ran, Done, Done] == kinds(bench.turn(photo(1), photo(2), photo(3)))
    assert bench.inbox.remove(2)


def test_bad_image_is_answered_at_once_and_leaves_no_hole(plain):
    """Its neighbours' rows are their own: the slot is used by the next image."""
    alone = [members(plain.turn(photo(n))[1][1]) for n in (1, 3)]

    frames = plain.turn(photo(1), b"nonsense", photo(3))

    assert [Rejected, Ran, Done, Done] == kinds(frames)
    assert (1, "not_an_image") == (frames[0][0].seq, frames[0][0].code)
    assert alone == [members(payload) for _, payload in frames[2:]]


def test_large_images_are_answered_in_turn(plain):
    """One thread decodes one at a time as it is: the rule for many threads keeps nothing back."""
    for seq in range(3):
        plain.inbox.put(Job(seq, FAR, photo(seq), large=True))

    assert [Ran, Done, Done, Done] == kinds(plain.turn())


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


@pytest.mark.parametrize(("most", "why"), [(99, "192 values for this image"), (500, "bytes of JSON for this image")])
def test_raw_answer_over_its_bound_fails_alone(tmp_path, most, why):
    """Warming up refuses such a model; where the size depends on the picture, the picture is."""
    model = takes(tmp_path / "m.onnx", TensorProto.FLOAT, ["N", 3, 8, 8])
    bench = Bench(model, output=Output(kind="raw", names=("same",), activation="none", max_bytes=most))
    bench.put(photo(1))
    filled = bench.filler.fill(bench.inbox.take(), 0)

    (message, _), *_ = reversed([*FrameReader().feed(bench.runner.answer(*bench.runner.run([filled])))])

    assert isinstance(message, Broken)
    assert why in message.reason


def test_image_on_which_the_model_raises_is_found_and_the_others_are_answered(tmp_path):
    """Its batch is run again in halves, until it is alone; each of the others gets what it gets alone."""
    located = find_model(picky(tmp_path / "picky.onnx"))
    bench = SerialBench(located.model_file, 8, replace(located.card, input=AS_IT_IS))
    alone = [bench.turn(grey(level))[1][1] for level in (10, 20, 30, 40)]

    frames = bench.turn(grey(10), grey(20), grey(250), grey(30), grey(40))

    answered = [(message.seq, payload) for message, payload in frames if isinstance(message, Done)]
    assert [2] == [message.seq for message, _ in frames if isinstance(message, Broken)]
    assert [0, 1, 3, 4] == [seq for seq, _ in answered]
    assert alone == [payload for _, payload in answered]


def test_session_says_what_is_wrong_with_the_rows(fussy_bench):
    """For the log: how many images gave which shape."""
    with pytest.raises(OutputError, match=r"3 images gave an output 'scores' of shape \(2, 2\)"):
        fussy_bench(8).session.run(range(3))
