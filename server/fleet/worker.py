"""One worker process as the engine sees it: an executor behind a socket."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

from batcher import Again, Batcher, Failed, Job, Result, Slot
from preprocess.errors import CostlyImage
from server.contract.answer import Reply
from server.contract.errors import ImageRejected, ModelFailed, TensorRejected
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask, Task, TensorTask
from server.contract.tensors import split
from server.contract.wire import (
    AnyMessage,
    Begin,
    Broken,
    Dependent,
    Done,
    Drop,
    FrameReader,
    ImageItem,
    Load,
    Loaded,
    LoadFailed,
    Misfit,
    Overspent,
    Prepare,
    Prepared,
    Ran,
    Ready,
    Rejected,
    Separate,
    Shared,
    Skipped,
    TensorItem,
    Trial,
    TrialFailed,
    TrialResult,
    WireError,
    frame,
    head,
)

_GONE = "the worker has gone"

T = TypeVar("T")


class CannotLoad(Exception):
    """The worker says that the model cannot be served, and why."""


class WorkerLost(Exception):
    """The worker went away before it was ready."""


class TrialImpossible(Exception):
    """The worker says that what it was told in its start-up benchmark cannot be done, and why."""


class Worker(asyncio.Protocol):
    """The connection to one worker process. A `batcher.Executor`; also the asyncio protocol of its socket.

    `ready` resolves to the worker's `Ready`, `loaded` to its `Loaded` where it has a start-up benchmark; both raise
    `CannotLoad` or `WorkerLost`. `lost` is set when the connection has ended, however it did.
    """

    def __init__(self, batcher: Batcher[Task, Reply], load: Load) -> None:
        self._batcher = batcher
        self._load = load
        self._reader = FrameReader()
        self._numbers = itertools.count()
        self._jobs: dict[int, Job[Task, Reply]] = {}
        self._seqs: dict[Job[Task, Reply], int] = {}
        self._slot: Slot[Task, Reply] | None = None
        self._transport: asyncio.Transport
        self._model: ModelMetadata
        self._retiring = False
        self._doubted = False
        self._taken_back: set[int] = set()
        """Images that went to others while it was silent. What it says of them is ignored."""
        self.heard = time.monotonic()
        """When it last sent anything, or was first given something after it had nothing."""
        self.lost_with: tuple[Task, ...] = ()
        """What it had when its connection ended."""
        self.overspent = False
        """It ended because one image took far more CPU than it should."""
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[Ready] = loop.create_future()
        self.loaded: asyncio.Future[Loaded] = loop.create_future()
        self._asked: asyncio.Future[Prepared | TrialResult] = loop.create_future()
        self.lost = asyncio.Event()
        self.on_dependent: Callable[[str, bool], None] = lambda reason, separate: None
        """Called when an image was answered otherwise in a batch than alone: why, and whether the worker has left
        batches for it."""

    @property
    def held(self) -> int:
        """Images it has."""
        return len(self._jobs)

    @property
    def retiring(self) -> bool:
        """Whether it gets nothing more."""
        return self._retiring

    @property
    def predicted_s(self) -> float:
        """Seconds that the batches of what it has should take."""
        return self._batcher.cost_model.run_s(max(1, self.held))

    @property
    def next_word_s(self) -> float:
        """Seconds in which it should be heard: those of the images it may have begun."""
        begun = list(islice(self._jobs.values(), self._most_begun))
        return self._batcher.cost_model.work_s(sum(job.prep_s for job in begun), len(begun))

    def doubt(self) -> int:
        """It has been silent for too long: until it is heard again it gets nothing more, and others get what it cannot
        have begun. How many images those are. Nothing happens to the last one that takes images.
        """
        if self._doubted or self._retiring or self._slot is None or self._batcher.executors < 2:
            return 0
        self._doubted = True
        self._slot.suspend()
        taken = list(islice(self._jobs.items(), self._most_begun, None))
        for seq, job in taken:
            self._transport.write(frame(Drop(seq)))
            self._forget(seq)
            self._taken_back.add(seq)
            self._slot.take_back(job, "its worker was silent")
        return len(taken)

    async def prepare(self, threads: int) -> None:
        """Have it open the model once more. For its start-up benchmark, as what follows: one order at a time.

        Raises `TrialImpossible`, `WorkerLost`. Cancellation: the worker goes on, and cannot be told anything more.
        """
        await self._ask(Prepare(threads))

    async def try_out(self, trial: Trial) -> TrialResult:
        """Have it run batches. Raises and cancellation as `prepare`."""
        tried = await self._ask(trial)
        assert isinstance(tried, TrialResult)
        return tried

    def begin(self, threads: int) -> None:
        """Have it serve: it gets `ready`."""
        self._transport.write(frame(Begin(threads)))

    def separate(self) -> None:
        """Have it run images one at a time from now on."""
        self._transport.write(frame(Separate()))
        self._load = msgspec.structs.replace(self._load, max_batch=1, batch=1)
        if self._slot and not self._retiring:
            self._slot.grant(2 if self._load.provider == "cpu" else 1 + max(1, self._load.decoders))

    def retire(self) -> None:
        """Give it nothing more, and hang up when it has answered what it has."""
        self._retiring = True
        if self._slot:
            self._slot.suspend()
        self._hang_up_if_retired()

    def hang_up(self) -> None:
        """Close the connection: the worker ends when it reads the end of its socket."""
        self._transport.close()

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its bases
        self._transport.write(frame(self._load))

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        try:
            for message, payload in self._reader.feed(data):
                self._receive(message, payload)
        except WireError:
            self._transport.abort()  # what it held goes back to the queue, by connection_lost
        if self._doubted and self._slot and not self._retiring:
            self._doubted = False
            self._slot.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost_with = tuple(job.item for job in self._jobs.values())
        self.lost.set()
        for waited in (self.ready, self.loaded, self._asked):
            _fail(waited, WorkerLost(_GONE))
        if self._slot:
            self._slot.close(_GONE)

    # -- batcher.Executor ----------------------------------------------------------------------------

    def send(self, jobs: Sequence[Job[Task, Reply]]) -> None:
        if not self._jobs:
            self.heard = time.monotonic()
        parts: list[bytes] = []
        for job in jobs:
            seq = next(self._numbers)
            self._jobs[seq] = job
            self._seqs[job] = seq
            payload = job.item.payload
            parts += (head(_item(seq, job.item, self._model, job.expires), len(payload)), payload)
        self._transport.writelines(parts)

    def drop(self, job: Job[Task, Reply]) -> None:
        self._transport.write(frame(Drop(self._seqs[job])))

    # -- inside ------------------------------------------------------------------------------------

    def _receive(self, message: AnyMessage, payload: bytes) -> None:
        match message:
            case Done(seq, _, _, begun, decode_s, infer_s, batch, specs, features, run_begun):
                members, tensors = (b"", split(specs, payload)) if specs else (payload, ())
                reply = Reply(
                    self._model, members, begun, decode_s, infer_s, batch, tensors, features=features,
                    run_begun=run_begun,
                )  # fmt: skip
                self._finish(seq, Result(reply), decode_s)
            case Shared(seq, dtype, shape):
                self._tell_prepared(seq, payload, dtype, shape)
            case Ran(_, _, size, seconds):
                self._batcher.observe_batch(size, seconds)
            case Rejected(seq, code):
                self._finish(seq, Failed(ImageRejected(code)))
            case Overspent(seq):
                self._give_up(seq)
            case Misfit(seq, reason):
                self._finish(seq, Failed(TensorRejected(reason)))
            case Broken(seq, reason):
                self._finish(seq, Failed(ModelFailed(reason)))
            case Skipped(seq):
                self._finish(seq, Again("skipped"))
            case Ready() if not self.ready.done():
                self._sit_down(message)
            case Dependent(reason, separate):
                self.on_dependent(reason, separate)
            case Loaded():
                _resolve(self.loaded, message)
            case Prepared() | TrialResult():
                _resolve(self._asked, message)
            case TrialFailed(reason):
                _fail(self._asked, TrialImpossible(reason))
            case LoadFailed(reason) if not self.ready.done():
                for waited in (self.ready, self.loaded):
                    _fail(waited, CannotLoad(reason))
            case _:
                raise WireError(f"a worker does not send {type(message).__name__}, or not now")

    async def _ask(self, order: Prepare | Trial) -> Prepared | TrialResult:
        if self.lost.is_set():
            raise WorkerLost(_GONE)
        self._asked = asyncio.get_running_loop().create_future()
        self._transport.write(frame(order))
        return await self._asked

    def _finish(self, seq: int, outcome: Result[Reply] | Failed | Again, decode_s: float | None = None) -> None:
        if seq in self._taken_back:
            self._taken_back.remove(seq)
            return
        job = self._forget(seq)
        if job is None or self._slot is None:
            raise WireError(f"item {seq} is not with this worker")
        self._slot.finish(job, outcome, decode_s)
        self._hang_up_if_retired()

    def _forget(self, seq: int) -> Job[Task, Reply] | None:
        if job := self._jobs.pop(seq, None):
            del self._seqs[job]
        return job

    @property
    def _most_begun(self) -> int:
        """How many images it may have begun: those it was sent first."""
        batch = self._load.batch or self._load.max_batch
        return batch if self._load.provider == "cpu" else 2 * batch + self._load.decoders

    def _tell_prepared(self, seq: int, payload: bytes, dtype: str, shape: tuple[int, ...]) -> None:
        """Raises `WireError`."""
        if seq in self._taken_back:
            return
        job = self._jobs.get(seq)
        if job is None or not isinstance(job.item, ImageTask):
            raise WireError(f"image {seq} is not with this worker")
        if job.item.on_prepared:
            job.item.on_prepared(payload, dtype, shape)

    def _give_up(self, seq: int) -> None:
        """The worker ends because of one image: only that one is answered, the others are begun again elsewhere."""
        self.overspent = True
        self.retire()
        self._finish(seq, Failed(ImageRejected(CostlyImage.code)))
        for other in list(self._jobs):
            self._finish(other, Again("its worker ended because of another image"))

    def _hang_up_if_retired(self) -> None:
        if self._retiring and not self._jobs:
            self.hang_up()

    def _sit_down(self, ready: Ready) -> None:
        self._model = ready.model
        for size, seconds in ready.batch_seconds.items():
            self._batcher.observe_batch(size, seconds)
        decoders = self._load.decoders if self._load.provider == "cuda" else 0  # they decode beside the device
        self._slot = self._batcher.attach(self, parallel_preprocessing=decoders)
        self._slot.grant(ready.grant)
        self.ready.set_result(ready)


def _item(seq: int, task: Task, model: ModelMetadata, deadline: float) -> ImageItem | TensorItem:
    match task:
        case ImageTask(_, header, want, on_prepared=on_prepared):
            share = on_prepared is not None
            return ImageItem(seq, model.name, model.version, want, deadline, header.pixels, share)
        case TensorTask(_, dtype, shape, want):
            return TensorItem(seq, model.name, model.version, want, deadline, dtype, shape)


def _resolve(waited: asyncio.Future[T], value: T) -> None:
    if not waited.done():
        waited.set_result(value)


def _fail(waited: asyncio.Future[Any], error: Exception) -> None:
    if not waited.done():
        waited.set_exception(error)
        waited.exception()  # somebody may have stopped waiting for it
