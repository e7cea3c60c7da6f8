"""Before a model is ready: what its outputs are, and what a batch of each size costs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from batcher.scheduling.batch_profile import BatchProfile
from preprocess.cost import decode_seconds
from preprocess.header import read_header
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.onnx.session import Outputs, Session
from server.inference.onnx.sizes import buckets
from server.inference.pictures import photo, pictures
from server.models.errors import ModelError, OutputError, in_one_line
from server.models.output_kind import Seen
from server.models.render import Row
from server.models.signature import Tensor

_LEAST_RUNS, _MOST_RUNS = 2, 5  # timed, of each batch size, after one that only warms
_CHEAP_S = 0.01  # a size whose runs take less than this in all is timed more often: a short run is easily disturbed
_WARM_UP_S = 1.0  # for all sizes together, where any may be run unwarmed
_COMPARED_S = 0.5  # for sizes that seem to gain, in turn
_MOST_ROUNDS = 5
_GAIN = 0.95  # a larger batch is tried as long as it takes less than this of the time an image
_NEAR_ONE = 1e-3
_OUT_OF_MEMORY = (
    "failed to allocate",
    "bad_alloc",
    "out of memory",
    "alloc_failed",
    "smaller than requested bytes",  # ONNX Runtime's words where a limit is set, as by --gpu-memory-limit
)


@dataclass(frozen=True, slots=True)
class Warmth:
    """What warming up showed. `batch`: the smallest size that is as fast per image as it gets. `alone`: the output rows
    of each picture. `held`: why larger batches cannot be run, if they fail."""

    profile: BatchProfile
    seen: tuple[Seen, ...]
    batch: int
    alone: tuple[Row, ...]
    held: str = ""


def warm_up(session: Session) -> Warmth:
    """Run pictures and time batches. Raises `ModelError`. Leaves the slots empty.

    Where only some sizes are run at all, every one of them is run here. One that fails, or does not fit into memory,
    ends the trial, and none so large is run later.
    """
    try:
        looked = look(session)
        seen = seen_in(session, looked)
        profile, held = _measure(session)
        if not session.pipelined:
            profile.set_inline_prep(_decode_s(session))
    finally:
        session.slots[:] = 0
    alone = tuple([part[0] for part in outputs] for outputs in looked)
    return Warmth(profile, seen, profile.best_size(max(profile.sizes)) or 1, alone, held)


def _decode_s(session: Session) -> float:
    """Seconds that decoding a usual photo takes."""
    picture, times = photo(), []
    for _ in range(_LEAST_RUNS):
        started = time.monotonic()
        prepare(picture, session.slot_recipe, session.slots[0], Limits())
        times.append(time.monotonic() - started)
    return min(times)


def decode_pace(session: Session) -> float:
    """How many times as long as cost.py says the decoding of a usual photo takes here, in CPU time."""
    picture, times = photo(), []
    predicted = decode_seconds(read_header(picture, Limits()), len(picture))
    for _ in range(_LEAST_RUNS):
        started = time.thread_time()
        prepare(picture, session.slot_recipe, session.slots[0], Limits())
        times.append(time.thread_time() - started)
    session.slots[0] = 0
    return min(times) / predicted


def look(session: Session, shown: Sequence[bytes] | None = None) -> list[Outputs]:
    """What comes of each picture, run alone. `shown`: the five of warming up by default.

    A model that takes one image, and gives outputs that are not led by a batch of 1, is run with whole outputs from
    then on. Raises `ModelError`.
    """
    chosen = pictures() if shown is None else shown
    try:
        return [_alone(session, picture) for picture in chosen]
    except OutputError as error:
        if session.whole or session.fixed not in (None, 1):
            raise ModelError(f"it does not run: {error}") from error
    session.take_whole()
    return [_alone(session, picture) for picture in chosen]


def _alone(session: Session, picture: bytes) -> Outputs:
    prepare(picture, session.slot_recipe, session.slots[0], Limits())
    try:
        return session.run([0])
    except OutputError:
        raise
    except Exception as error:  # the model is a stranger's: whatever it raises means the same
        raise ModelError(f"it does not run: {in_one_line(error)}") from error


def look_together(session: Session) -> list[Row]:
    """What comes of each picture, run with as many others as fit. Raises `ModelError`. Leaves the slots empty."""
    waiting, rows = pictures(), list[Row]()
    try:
        while waiting:
            batch, waiting = waiting[: session.max_batch], waiting[session.max_batch :]
            for slot, picture in enumerate(batch):
                prepare(picture, session.slot_recipe, session.slots[slot], Limits())
            outputs = session.run(list(range(len(batch))))
            rows += ([part[slot] for part in outputs] for slot in range(len(batch)))
    except Exception as error:  # as in `look`
        raise ModelError(f"it does not run: {in_one_line(error)}") from error
    finally:
        session.slots[:] = 0
    return rows


def seen_in(session: Session, rows: Sequence[Outputs]) -> tuple[Seen, ...]:
    """What its outputs are, by what came of several pictures. Raises `ModelError`."""
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
        varies=len({row.shape for row in rows}) > 1 or _may_be_empty(tensor, largest.shape[1:]),
        json_bytes=len(msgspec.json.encode(largest[0].tolist())),
    )


def _may_be_empty(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether an output is empty only in dimensions that the model leaves free. `shape`: without the batch."""
    sides = tensor.shape[len(tensor.shape) - len(shape) :]
    fixed = [side for side, has in zip(sides, shape, strict=False) if has == 0 and isinstance(side, int) and side >= 0]
    return 0 in shape and not fixed


def _are_probabilities(row: NDArray[Any]) -> bool:
    return bool((row >= 0).all() and abs(row.sum(dtype=np.float64) - 1) <= _NEAR_ONE)


def _measure(session: Session) -> tuple[BatchProfile, str]:
    """Time the sizes: all that are run if they are few, else 1, 2, 4, ... while a larger one still gains. And why the
    next larger one fails, if it does."""
    session.slots[:] = session.slots[0]
    profile = BatchProfile()
    stop = time.monotonic() + _WARM_UP_S if session.any_size else float("inf")
    each, held = 0.0, ""
    for count in _counts(session):
        if time.monotonic() + each * count > stop:  # not even one run would be in time
            break
        seconds, held = _time_if_it_runs(session, count, stop)
        if seconds is None:
            session.limit(max(profile.sizes))
            break
        if _gains_nothing(seconds / count, each) and session.any_size:  # or something else ran on this core
            seconds = min(seconds, _time(session, count, stop))
        profile.observe(count, seconds)
        if _gains_nothing(seconds / count, each) and session.any_size:
            break
        each = seconds / count
    best = profile.best_size(max(profile.sizes)) or 1
    if session.any_size and best > 1:
        profile = _in_turn(session, [size for size in profile.sizes if size <= best])
    return profile, held


def _in_turn(session: Session, sizes: Sequence[int]) -> BatchProfile:
    """Time sizes once more, all of them in each round.

    A machine that starts a server becomes calmer while it does. So what is timed later seems quicker, and what is
    larger was timed later.
    """
    rounds: list[list[float]] = []
    stop = time.monotonic() + _COMPARED_S
    while len(rounds) < _LEAST_RUNS or (len(rounds) < _MOST_ROUNDS and time.monotonic() + sum(rounds[-1]) < stop):
        rounds.append([_once(session, size) for size in sizes])
    profile = BatchProfile()
    for size, times in zip(sizes, zip(*rounds, strict=True), strict=True):
        profile.observe(size, min(times))
    return profile


def _gains_nothing(each: float, before: float) -> bool:
    """Whether `each` second an image is no better than what smaller batches took. 0: there were none."""
    return before > 0 and each > before * _GAIN


def _counts(session: Session) -> tuple[int, ...]:
    """How many images to time together."""
    if session.fixed:
        return (1, session.max_batch) if session.max_batch > 1 else (1,)
    return buckets(session.max_batch)


def _time_if_it_runs(session: Session, count: int, stop: float) -> tuple[float | None, str]:
    """Seconds; None if a batch of this size cannot run, and why, unless the reason is a lack of memory."""
    try:
        return _time(session, count, stop), ""
    except Exception as error:  # as above
        if count == 1:
            raise ModelError(f"it does not run: {in_one_line(error)}") from error
        return None, "" if is_out_of_memory(str(error)) else f"a batch of {count} fails: {in_one_line(error)}"


def is_out_of_memory(message: str) -> bool:
    """Whether an error says that there was not enough of it: ONNX Runtime has no class for that."""
    return any(words in message.lower() for words in _OUT_OF_MEMORY)


def _time(session: Session, count: int, stop: float) -> float:
    """The shortest of a few runs: whatever disturbs a run makes it longer. At most one of them ends after `stop`."""
    first = _once(session, count)
    times: list[float] = []
    while _another(times) and time.monotonic() + min(times, default=0.0) <= stop:
        times.append(_once(session, count))
    return min(times, default=first)


def _another(times: list[float]) -> bool:
    return len(times) < _LEAST_RUNS or (len(times) < _MOST_RUNS and sum(times) < _CHEAP_S)


def _once(session: Session, count: int) -> float:
    started = time.monotonic()
    session.run(range(count))
    return time.monotonic() - started
