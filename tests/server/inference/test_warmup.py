"""What warming up finds out, and what it refuses."""

import time

import numpy as np
import pytest

from server.inference.onnx.session import Session
from server.inference.pictures import pictures
from server.inference.warmup import is_out_of_memory, warm_up
from server.models.card import find_model
from server.models.errors import ModelError
from tests import models


def session(path, max_batch=8, **how):
    located = find_model(path)
    return Session(located.model_file, located.card, max_batch, **how)


def test_sizes_are_measured_and_the_slots_left_clean(tmp_path):
    """1, 2, ... while a larger batch gains; the pictures it runs on do not stay in the slots."""
    one = session(models.dense(tmp_path / "m.onnx"))

    warmth = warm_up(one)

    sizes = list(warmth.profile.sizes)
    assert [1, 2, 4, 8][: len(sizes)] == sizes
    assert len(sizes) >= 2
    assert warmth.batch in sizes
    assert not np.any(one.slots)


class Calming(Session):
    """The model on a machine that is busy at first: an image takes 160 ms until single ones are timed, then 80."""

    batches = 0

    def run(self, slots):
        self.batches += 1
        time.sleep(len(slots) * (0.16 if self.batches <= len(pictures()) + 3 else 0.08))
        return super().run(slots)


def test_a_machine_that_becomes_calmer_makes_no_larger_batch_seem_to_pay(tmp_path):
    """One image is timed first. What seems to gain is timed once more, beside it."""
    located = find_model(models.dense(tmp_path / "m.onnx"))

    warmth = warm_up(Calming(located.model_file, located.card, 8))

    assert (1, [1, 2]) == (warmth.batch, list(warmth.profile.sizes))


def test_where_few_sizes_are_run_all_of_them_are_warmed(tmp_path):
    """Whether or not a larger one gains: any of them may be run."""
    one = session(models.everywhere(tmp_path / "m.onnx"), 6, pipelined=True)

    assert [1, 2, 4, 6] == list(warm_up(one).profile.sizes)


@pytest.mark.parametrize(("batch", "most", "sizes"), [(1, 8, [1]), (4, 8, [1, 4]), (16, 8, [1, 8])])
def test_fixed_batch_is_measured_with_one_image_and_with_as_many_as_fit(tmp_path, batch, most, sizes):
    """Both take what the whole batch takes, so more a batch are cheaper, here by far more than decoding costs."""
    heavy = models.dense(tmp_path / "m.onnx", size=32, hidden=(4096, 4096), batch=batch)
    warmth = warm_up(session(heavy, most))

    assert (sizes, max(sizes)) == (list(warmth.profile.sizes), warmth.batch)


def test_size_that_does_not_fit_into_memory_is_not_run_later(tmp_path):
    """The smaller ones are served all the same, and none larger is ever tried."""
    one = session(models.hungry(tmp_path / "m.onnx"), pipelined=True)

    warmth = warm_up(one)

    assert max(warmth.profile.sizes) == one.max_batch == one.sizes[-1] < 8


@pytest.mark.parametrize(
    ("message", "memory"),
    [
        ("Failed to allocate memory for requested buffer of size 5000", True),
        ("BFCArena::AllocateRawInternal: Available memory of 16 is smaller than requested bytes of 32", True),
        ("CUDA failure 2: out of memory ; GPU=0", True),
        ("CUBLAS_STATUS_ALLOC_FAILED", True),
        ("std::bad_alloc", True),
        ("Got invalid dimensions for input: image", False),
    ],
)
def test_what_is_a_lack_of_memory_is_told_by_its_words(message, memory):
    """Of a CPU, of a GPU, and of a GPU with a limit."""
    assert memory == is_out_of_memory(message)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (models.one_at_a_time, "a batch of 2 fails: "),
        (models.fussy, "a batch of 2 fails: 2 images gave an output 'scores' of shape (1, 2)"),
    ],
)
def test_model_whose_batches_fail_is_held_to_one_image(tmp_path, build, why):
    """Its batch dimension claims to be free, or a row gets lost; one at a time it is served."""
    one = session(build(tmp_path / "m.onnx"))

    warmth = warm_up(one)

    assert (1, 1, [1]) == (warmth.batch, one.max_batch, list(warmth.profile.sizes))
    assert warmth.held.startswith(why)
    assert "\n" not in warmth.held


def test_model_that_is_never_finite_is_refused(tmp_path):
    """Every answer would be an error."""
    with pytest.raises(ModelError, match="its output 'scores' is not finite, whatever the picture"):
        warm_up(session(models.never_finite(tmp_path / "m.onnx")))


def test_model_that_cannot_run_at_all_is_refused(tmp_path):
    """With ONNX Runtime's reason in one line."""
    with pytest.raises(ModelError, match=r"^it does not run: [^\n]*$"):
        warm_up(session(models.broken(tmp_path / "m.onnx")))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (models.bytes_last, True),
        (models.dense, False),
        (models.half, False),
        (models.mostly_probabilities, False),
    ],
)
def test_probabilities_are_told_by_every_picture(tmp_path, build, expected):
    """Not negative and a sum of 1, for each: one that only looks so for a black picture is not fooled by."""
    (seen,) = warm_up(session(build(tmp_path / "m.onnx"))).seen

    assert expected == seen.probabilities


def test_a_picture_that_gives_no_number_does_not_count(tmp_path):
    """The logarithm of black is none; the others decide."""
    (seen,) = warm_up(session(models.fussy(tmp_path / "m.onnx"), 1)).seen

    assert not seen.probabilities
    assert (2,) == seen.shape


# ---- Time ----


class Stalling(Session):
    """A model that takes `each` seconds an image, and at the runs numbered in `stalls` 0.2 seconds more."""

    each, stalls = 0.0, ()

    def run(self, slots):
        self.ran = [*getattr(self, "ran", []), len(slots)]
        time.sleep(self.each * len(slots) + 0.2 * (len(self.ran) in self.stalls))
        return super().run(slots)


def stalling(tmp_path, **how):
    located = find_model(models.dense(tmp_path / "m.onnx", hidden=(4,)))
    one = Stalling(located.model_file, located.card, 8)
    for name, value in how.items():
        setattr(one, name, value)
    return one


@pytest.mark.parametrize("stall", [6, 7, 8])
def test_one_slow_run_changes_no_figure(tmp_path, stall):
    """Five pictures are looked at, one at a time; then come the runs of 1 image: the first warms, the rest count."""
    one = stalling(tmp_path, each=0.002, stalls=(stall,))

    profile = warm_up(one).profile

    assert profile.sizes[1] < 0.1


def test_size_that_was_disturbed_is_timed_again_before_it_ends_the_series(tmp_path):
    """All three runs of 2 images were slow, because something else ran; that they are as cheap shows later."""
    one = stalling(tmp_path, each=0.005, stalls=(9, 10, 11))

    profile = warm_up(one).profile

    assert [1] * 8 + [2] * 6 == one.ran[:14]
    assert profile.sizes[2] < 0.1


def test_slow_model_is_not_timed_longer_than_the_time_there_is(tmp_path):
    """0.4 s an image: one is timed twice, and a batch of 2 would not end in time."""
    one = stalling(tmp_path, each=0.4)
    started = time.monotonic()

    warmth = warm_up(one)

    assert ([1], 1) == (list(warmth.profile.sizes), warmth.batch)
    assert time.monotonic() - started < (5 + 3.5) * 0.4
