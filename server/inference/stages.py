"""The two stages of a worker, shared by its engines: fill a slot with an image, run slots and answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.decode import Picture
from preprocess.errors import CostlyImage, ImageError
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.contract.metadata import TensorSpec
from server.contract.wire import Broken, Done, Misfit, Ran, Rejected, Shared, Skipped, frame
from server.inference.cpu_watch import CpuWatch
from server.inference.inbox import Job
from server.inference.looking import Features, Looker
from server.inference.onnx.session import Outputs, Session
from server.models.dtypes import from_numpy, to_numpy
from server.models.errors import OutputError
from server.models.render import Answerer

Send = Callable[[bytes], None]
"""Takes finished frames, several at a time."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A decoded image in its slot. Times in seconds, `begun` on CLOCK_MONOTONIC."""

    job: Job
    slot: int
    begun: float
    decode_s: float
    features: Features = ()
    """What was seen in it, if it was looked at."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A batch that has been run: what came out, or why nothing did. It no longer needs its slots."""

    batch: Sequence[Filled]
    seconds: float
    outputs: Outputs
    failure: str | None = None
    begun: float = 0.0
    """When the run began, in seconds on CLOCK_MONOTONIC."""


class Filler:
    """The first stage. Threads may fill different slots at a time."""

    def __init__(
        self, session: Session, limits: Limits, send: Send, watch: CpuWatch, looker: Looker | None = None
    ) -> None:
        """`looker`: None looks at no image."""
        self._looker = looker
        self._recipe = session.slot_recipe
        self._slots = session.slots
        self._limits = limits
        self._send = send
        self._watch = watch

    def fill(self, job: Job, slot: int) -> Filled | None:
        """Decode into the slot. An image that cannot be decoded, or is late, is answered at once, and gives None."""
        begun = time.monotonic()
        if begun >= job.deadline:
            self._send(frame(Skipped(job.seq)))
            return None
        features: Features = ()
        try:
            if job.tensor:
                copy_tensor(job.payload, job.tensor, self._slots[slot])
            else:
                features = self._decode(job, slot)
                if job.share:
                    self._give_back(job, self._slots[slot])
        except ImageError as error:
            self._send(frame(Rejected(job.seq, error.code)))
            return None
        except TensorError as error:
            self._send(frame(Misfit(job.seq, str(error))))
            return None
        decode_s = time.monotonic() - begun
        if self._looker:
            self._looker.worked(decode_s)
        return Filled(job, slot, begun, decode_s, features)

    def _give_back(self, job: Job, slot: NDArray[Any]) -> None:
        self._send(frame(Shared(job.seq, from_numpy(slot.dtype), slot.shape), slot.tobytes()))

    def _decode(self, job: Job, slot: int) -> Features:
        """What was seen in it, if it was looked at. Raises `ImageError`. The process may end here: see `CpuWatch`."""
        seen: list[Features] = []
        look = None
        if (looker := self._looker) and job.want == "answer" and looker.due:

            def look(picture: Picture) -> None:
                seen.append(looker.inputs(job.payload, picture))

        allow = partial(self._watch.allow, job.seq)
        try:
            prepare(job.payload, self._recipe, self._slots[slot], self._limits, allow, look)
        except MemoryError as error:
            raise CostlyImage from error
        finally:
            self._watch.over()
        return seen[0] if seen else ()


class TensorError(Exception):
    """A prepared tensor does not fit the slot; the message says what would."""


def copy_tensor(data: bytes, spec: TensorSpec, slot: NDArray[Any]) -> None:
    """Copy a prepared tensor into its slot. Raises `TensorError` unless dtype, shape and length are the slot's."""
    wanted = TensorSpec("", from_numpy(slot.dtype), slot.shape)
    if (spec.dtype, spec.shape) != (wanted.dtype, wanted.shape):
        raise TensorError(f"this model takes {wanted} per image, got {spec}")
    if len(data) != wanted.nbytes:
        raise TensorError(f"{wanted.nbytes} bytes are needed for {wanted}, got {len(data)}")
    slot[...] = np.frombuffer(data, to_numpy(wanted.dtype)).reshape(slot.shape)


class Runner:
    """The second stage: `run` in the one thread that owns the session, `answer` in any."""

    def __init__(
        self, session: Session, answerer: Answerer, name: str = "", version: str = "", looker: Looker | None = None
    ) -> None:
        """`name` and `version`: of the model, for the frames. `looker`: as for `Filler`."""
        self._looker = looker
        self._session = session
        self._answerer = answerer
        self._name = name
        self._version = version
        self._outputs = [tensor.name for tensor in session.outputs]

    def run(self, batch: Sequence[Filled]) -> list[Ended]:
        """Run the model on the filled slots, in order. If it raises, it is run on each half, and so on, until the
        image at fault is alone; what is wrong with the number of rows is no image's fault, and fails them all."""
        started = time.monotonic()
        try:
            outputs = self._session.run([one.slot for one in batch])
        except OutputError as error:
            return [Ended(batch, time.monotonic() - started, (), str(error))]
        except Exception as error:  # noqa: BLE001 - whatever the model raises, this batch has no answer
            if len(batch) == 1:
                return [Ended(batch, time.monotonic() - started, (), str(error))]
            middle = len(batch) // 2
            return self.run(batch[:middle]) + self.run(batch[middle:])
        return [Ended(batch, time.monotonic() - started, outputs, begun=started)]

    def answer(self, ended: Ended) -> bytes:
        """The frames that answer a batch, in its order."""
        if self._looker:
            self._looker.worked(ended.seconds)
        if ended.failure is not None:
            return b"".join(frame(Broken(one.job.seq, ended.failure)) for one in ended.batch)
        rows = zip(ended.batch, *ended.outputs, strict=True)
        answers = (self._answer(one, row, ended) for one, *row in rows)
        return frame(Ran(self._name, self._version, len(ended.batch), ended.seconds)) + b"".join(answers)

    def _answer(self, one: Filled, row: Sequence[NDArray[Any]], ended: Ended) -> bytes:
        if one.job.want == "tensors":
            specs = tuple(map(_spec, self._outputs, row))
            return frame(self._done(one, ended, specs), b"".join(part.tobytes() for part in row))
        if not all(np.isfinite(part).all() for part in row):
            return frame(Broken(one.job.seq, "the model's output is not finite"))
        try:
            features = self._looker.whole(one.features, row) if self._looker and one.features else ()
            return frame(self._done(one, ended, features=features), self._answerer(row))
        except OutputError as error:
            return frame(Broken(one.job.seq, str(error)))

    def _done(self, one: Filled, ended: Ended, tensors: tuple[TensorSpec, ...] = (), features: Features = ()) -> Done:
        seq, size = one.job.seq, len(ended.batch)
        return Done(
            seq, self._name, self._version, one.begun, one.decode_s, ended.seconds, size, tensors, features,
            ended.begun,
        )  # fmt: skip


def _spec(name: str, row: NDArray[Any]) -> TensorSpec:
    return TensorSpec(name, from_numpy(row.dtype), row.shape)
