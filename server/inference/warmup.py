"""Before a model is ready: what its outputs are, and what a batch of each size costs."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batcher import Profile
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.errors import ModelError, in_one_line
from server.inference.pictures import pictures
from server.inference.served import Seen
from server.inference.session import Outputs, Session
from server.inference.signature import Tensor
from server.inference.sizes import buckets

_TIMED_RUNS = 2  # of each batch size, after one that is not timed
_WARM_UP_S = 1.0  # no further batch size is begun after this, where any size may be run unwarmed
_GAIN = 0.95  # a larger batch is tried as long as it takes less than this of the time an image
_NEAR_ONE = 1e-3
_OUT_OF_MEMORY = ("failed to allocate", "bad_alloc", "out of memory", "alloc_failed")


@dataclass(frozen=True, slots=True)
class Warmth:
    """What warming up showed. `batch`: the smallest size that is as fast an image as it gets."""

    profile: Profile
    seen: tuple[Seen, ...]
    batch: int


def warm_up(session: Session) -> Warmth:
    """Run pictures and time batches. Raises `ModelError`. Leaves the slots empty.

    Where only some sizes are run at all, every one of them is run here. One that does not fit into memory
    ends the trial, and none so large is run later.
    """
    try:
        seen = _look(session)
        profile = _measure(session)
    finally:
        session.slots[:] = 0
    return Warmth(profile, seen, profile.best_size(max(profile.sizes)) or 1)


def _look(session: Session) -> tuple[Seen, ...]:
    """Run each picture alone, and see what comes of it."""
    rows: list[Outputs] = []
    for picture in pictures():
        prepare(picture, session.recipe, session.slots[0], Limits())
        try:
            rows.append(session.run([0]))
        except Exception as error:  # the model is a stranger's: whatever it raises means the same
            raise ModelError(f"it does not run: {in_one_line(error)}") from error
    outputs = zip(*rows, strict=True)
    return tuple(_seen(tensor, list(one)) for tensor, one in zip(session.outputs, outputs, strict=True))


def _seen(tensor: Tensor, rows: list[NDArray[Any]]) -> Seen:
    """One output of several pictures. Those that came out as no numbers tell nothing; not all may."""
    finite = [row for row in rows if np.isfinite(row).all()]
    if not finite:
        raise ModelError(f"its output {tensor.name!r} is not finite, whatever the picture")
    largest = max(rows, key=lambda row: row.size)  # as a rule they are of one size
    return Seen(
        name=tensor.name,
        shape=largest.shape[1:],
        floating=rows[0].dtype.kind == "f",
        probabilities=all(map(_are_probabilities, finite)),
    )


def _are_probabilities(row: NDArray[Any]) -> bool:
    return bool((row >= 0).all() and abs(row.sum(dtype=np.float64) - 1) <= _NEAR_ONE)


def _measure(session: Session) -> Profile:
    """Time the sizes: all that are run if they are few, else 1, 2, 4, ... while a larger one still gains."""
    session.slots[:] = session.slots[0]
    profile = Profile()
    stop = time.monotonic() + _WARM_UP_S
    each = float("inf")
    for count in _counts(session):
        seconds = _time_if_it_fits(session, count)
        if seconds is None:
            session.limit(max(profile.sizes))
            break
        profile.observe(count, seconds)
        if session.any_size and (seconds / count > each * _GAIN or time.monotonic() >= stop):
            break
        each = seconds / count
    return profile


def _counts(session: Session) -> tuple[int, ...]:
    """How many images to time together."""
    if session.fixed:
        return (1, session.max_batch) if session.max_batch > 1 else (1,)
    return buckets(session.max_batch)


def _time_if_it_fits(session: Session, count: int) -> float | None:
    """None if there is no memory for as many."""
    try:
        return _time(session, count)
    except Exception as error:  # as above
        if count > 1 and any(words in str(error).lower() for words in _OUT_OF_MEMORY):
            return None
        raise ModelError(
            f"a batch of {count} fails: {in_one_line(error)}; if the model takes one image at a time,"
            " start with --max-batch 1"
        ) from error


def _time(session: Session, count: int) -> float:
    """The shortest of a few runs: whatever disturbs a run makes it longer."""
    session.run(range(count))
    times = []
    for _ in range(_TIMED_RUNS):
        started = time.monotonic()
        session.run(range(count))
        times.append(time.monotonic() - started)
    return min(times)
