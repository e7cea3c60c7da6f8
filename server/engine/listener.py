"""An engine offered to front ends in other processes, over a Unix socket."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import msgspec
import structlog
from anyio.abc import SocketStream, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from server.contract.answer import Answer
from server.contract.engine_frames import (
    Answered,
    Cancel,
    Drain,
    Drained,
    Forget,
    Hello,
    Raised,
    Serving,
    Snapshot,
    SubmitImage,
    SubmitTensor,
    ToEngine,
    from_engine,
    to_engine,
)
from server.contract.framing import FrameReader, WireError
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask, Task, TensorTask
from server.engine.intake import Intake
from server.engine.wire_errors import to_words

_SNAPSHOT_S = 0.1

log = structlog.stdlib.get_logger("tureen.engine")


@asynccontextmanager
async def serve_engine(engine: Intake, path: Path) -> AsyncIterator[None]:
    """Offer `engine` at `path` while entered; only this user may connect. A socket left behind there is replaced.

    Front ends share one queue and one promise. What a front end has under way is taken back when it disconnects.
    Raises `OSError` if the socket cannot be made.
    """
    async with await anyio.create_unix_listener(path, mode=0o600) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, partial(_serve_front_end, engine), name="engine listener")
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - one system call


async def _serve_front_end(engine: Intake, stream: SocketStream) -> None:
    outbox, frames = anyio.create_memory_object_stream[bytes](math.inf)  # bounded by what the engine accepts
    try:
        async with stream, outbox, frames, anyio.create_task_group() as tasks:
            tasks.start_soon(_send_all, frames, stream)
            told: set[ModelMetadata] = set()
            tasks.start_soon(_tell_status, engine, outbox, told)
            await _FrontEnd(engine, outbox, tasks, told).read(stream)
            tasks.cancel_scope.cancel()
    except* (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
        pass  # it has gone
    except* WireError as group:
        log.error("front_end_garbled", reason=str(group.exceptions[0]))


async def _send_all(frames: MemoryObjectReceiveStream[bytes], stream: SocketStream) -> None:
    async for frame in frames:
        await stream.send(frame)


async def _tell_status(engine: Intake, outbox: MemoryObjectSendStream[bytes], told: set[ModelMetadata]) -> None:
    """`told`: the models that the front end knows."""
    outbox.send_nowait(from_engine.frame(Hello(engine.slo_s, engine.limits.max_pixels, engine.max_bytes)))
    while True:
        status = engine.status()
        for lane in status.lanes:
            if lane.metadata and lane.metadata not in told:
                told.add(lane.metadata)
                outbox.send_nowait(from_engine.frame(Serving(lane.metadata)))
        outbox.send_nowait(from_engine.frame(Snapshot(), msgspec.msgpack.encode(status)))
        await anyio.sleep(_SNAPSHOT_S)


class _FrontEnd:
    """One front end. Its state: the tasks it has under way, by its numbers, each with the scope that ends it."""

    def __init__(
        self,
        engine: Intake,
        outbox: MemoryObjectSendStream[bytes],
        tasks: TaskGroup,
        told: set[ModelMetadata],
    ) -> None:
        """`told`: the models that it knows."""
        self._told = told
        self._engine = engine
        self._outbox = outbox
        self._tasks = tasks
        self._under_way: dict[int, anyio.CancelScope] = {}
        self._draining = False

    async def read(self, stream: SocketStream) -> None:
        """Do what it says until it hangs up. Raises `WireError`."""
        reader: FrameReader[ToEngine] = FrameReader(to_engine)
        async for data in stream:
            for message, payload in reader.feed(data):
                self._receive(message, payload)

    def _receive(self, message: ToEngine, payload: bytes) -> None:
        match message:
            case SubmitImage() | SubmitTensor():
                scope = self._under_way[message.number] = anyio.CancelScope()
                self._tasks.start_soon(self._answer, message, payload, scope)
            case Cancel(number):
                if number in self._under_way:
                    self._under_way[number].cancel()
            case Forget(content, account):
                self._tasks.start_soon(self._engine.forget, content, account)
            case Drain():
                self._draining = True
                self._tell_drained()

    async def _answer(self, message: SubmitImage | SubmitTensor, payload: bytes, scope: anyio.CancelScope) -> None:
        with scope:
            self._outbox.send_nowait(await self._answered(message, payload))
        del self._under_way[message.number]
        self._tell_drained()

    async def _answered(self, message: SubmitImage | SubmitTensor, payload: bytes) -> bytes:
        try:
            answer = await self._engine.submit(
                _task(message, payload), message.deadline, message.urgency, message.reuse, message.owner,
                message.sticky,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever it is, its front end is waiting to hear of it
            return from_engine.frame(Raised(message.number, *to_words(error)))
        if answer.model not in self._told:
            self._told.add(answer.model)
            self._outbox.send_nowait(from_engine.frame(Serving(answer.model)))
        return _frame(message.number, answer)

    def _tell_drained(self) -> None:
        if self._draining and not self._under_way:
            self._outbox.send_nowait(from_engine.frame(Drained()))


def _task(message: SubmitImage | SubmitTensor, payload: bytes) -> Task:
    want, model, version = message.want, message.model, message.version
    if isinstance(message, SubmitTensor):
        return TensorTask(payload, message.dtype, message.shape, want, model, version)
    return ImageTask(payload, message.header, want, model, version)


def _frame(number: int, answer: Answer) -> bytes:
    reply = answer.reply
    message = Answered(
        number, answer.id, answer.hash, reply.begun, reply.decode_s, reply.infer_s, reply.batch,
        reply.model.name, reply.model.version, tuple(tensor.spec for tensor in reply.tensors), reply.source,
        answer.queued, reply.run_begun,
    )  # fmt: skip
    return from_engine.frame(message, reply.members or b"".join(tensor.data for tensor in reply.tensors))
