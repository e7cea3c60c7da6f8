"""An engine in another process, by the Unix socket at which `serve_engine` offers it."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import msgspec
from anyio.abc import SocketStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from batcher import NoExecutor, QueueFull, Refused
from batcher.policy import DEFAULT_URGENCY
from preprocess.header import Header
from preprocess.limits import Limits
from server.contract.answer import Answer, Reply, merged
from server.contract.engine_frames import (
    Answered,
    Cancel,
    Drain,
    Drained,
    Forget,
    FromEngine,
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
from server.contract.errors import EngineLost
from server.contract.framing import FrameReader, WireError
from server.contract.metadata import ModelMetadata
from server.contract.owner import NOBODY, Owner
from server.contract.task import ImageTask, Reuse, Task
from server.contract.tensors import split
from server.engine.arrivals import Arrivals, GiveUp, Reservation
from server.engine.groups import leaves
from server.engine.intake import Status
from server.engine.loop_delay import LoopDelay
from server.engine.wire_errors import from_words

_GONE = "the engine has gone"
_RETRY_S = 1.0

_status = msgspec.msgpack.Decoder(Status)


class RemoteEngine:
    """An `Intake` over a socket. Use it as an async context manager; entering waits until the engine has a model.

    Verdicts on tasks come from the engine; `refusal` therefore says None, and `reserve` goes by the latest status,
    which is a tenth of a second old. Entering raises `OSError` if there is no such socket. When the engine goes, what
    waits raises `EngineLost`, and so does all that comes later.

    The whole state: `_waiting` (a future per task under way), `_models` and `_latest` (what the engine told).
    """

    def __init__(self, path: Path, *, wait_ready: bool = True) -> None:
        self.slo_s = 1.0
        self.limits = Limits()
        self.max_bytes = 0
        self.delay = LoopDelay()
        self._path = path
        self._wait_ready = wait_ready
        self._stack = AsyncExitStack()
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._models: dict[tuple[str, str], ModelMetadata] = {}
        self._latest: Status | None = None
        self._slos: Mapping[str, float] = {}
        self._arrivals = Arrivals(self)
        self._told, self._ready, self._drained, self._lost = (anyio.Event() for _ in range(4))
        self._outbox: MemoryObjectSendStream[bytes]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stream = await stack.enter_async_context(await anyio.connect_unix(self._path))
            self._outbox, frames = anyio.create_memory_object_stream[bytes](math.inf)  # bounded by what callers send
            stack.enter_context(self._outbox)
            stack.enter_context(frames)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self._send_all, frames, stream)
            tasks.start_soon(self._read_all, stream)
            tasks.start_soon(self.delay.watch, lambda _: None)
            await self._told.wait()
            if self._wait_ready:
                await self.wait_ready()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with self._stack:
                if error:
                    raise error
                await self.drain()
        except BaseExceptionGroup as group:
            raise (error if error and all(one is error for one in leaves(group)) else group) from None

    async def submit(
        self,
        task: Task,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """As `Intake.submit`. Raises `EngineLost`, too."""
        if self._lost.is_set():
            raise EngineLost(_GONE)
        number = next(self._numbers)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._send(_message(number, task, deadline, urgency, reuse, owner, sticky), task.payload)
        try:
            return await waiting
        except asyncio.CancelledError:
            self._send(Cancel(number))
            raise
        finally:
            del self._waiting[number]

    async def submit_to_each(
        self,
        task: ImageTask,
        models: Sequence[str],
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """As `Intake.submit_to_each`, but each model decodes the image itself."""
        rest = (deadline, urgency, reuse, owner, sticky)
        try:
            async with asyncio.TaskGroup() as tasks:
                begun = [tasks.create_task(self.submit(task._replace(model=model), *rest)) for model in models]
        except BaseExceptionGroup as error:
            raise leaves(error)[0] from None
        answers = [one.result() for one in begun]
        return merged(answers[0].id, answers[0].hash, [answer.reply for answer in answers])

    def slo_of(self, model: str) -> float:
        """As `Intake.slo_of`."""
        return self._slos.get(model, self.slo_s)

    def reserve(self, size: int, give_up: GiveUp | None = None) -> Reservation:
        """As `Intake.reserve`, by the latest status."""
        return self._arrivals.reserve(size, give_up)

    def refusal(
        self, header: Header, size: int, deadline: float, urgency: int, coming: int, owner: Owner = NOBODY
    ) -> Refused | None:
        """None: only the engine can tell."""
        return None

    def remembers(self, size: int, payload: bytes | None, owner: Owner = NOBODY) -> bool:
        """False: only the engine can tell."""
        return False

    async def forget(self, content: str, account: str = "") -> None:
        """As `Intake.forget`; it does not wait."""
        self._send(Forget(content, account))

    def status(self) -> Status:
        """As `Intake.status`: what the engine told last."""
        assert self._latest, "it is told first of all"
        return replace(self._latest, arriving_bytes=self._arrivals.bytes)

    async def wait_ready(self) -> ModelMetadata:
        """As `Intake.wait_ready`. Raises `EngineLost`."""
        await self._ready.wait()
        if not self._models:
            raise EngineLost(_GONE)
        latest = self._latest.model if self._latest else None
        return latest or next(iter(self._models.values()))

    async def drain(self) -> None:
        """Wait until the engine has answered all that was sent over this socket; it goes on for others."""
        self._send(Drain())
        await self._drained.wait()

    async def wait_lost(self) -> None:
        """Wait until the engine has gone. Cancellation: stops waiting."""
        await self._lost.wait()

    # -- for arrivals --------------------------------------------------------------------------------

    longest_linger_s = 0.0
    """Nothing here can make a batch wait."""

    @property
    def free_bytes(self) -> int:
        """As `Room.free_bytes`, by the latest status."""
        return self.max_bytes - (self._latest.stats.held_bytes if self._latest else 0)

    def check_room(self, size: int) -> None:
        """As `Room.check_room`, by the latest status."""
        status = self.status()
        if self._lost.is_set() or not status.ready:
            raise NoExecutor("no worker is ready", _RETRY_S)
        if status.stats.held_bytes + size > self.max_bytes:
            raise QueueFull(f"{self.max_bytes} bytes are held already", _RETRY_S)

    def announce(self, count: int) -> None:
        """Nothing: see `longest_linger_s`."""

    # -- inside --------------------------------------------------------------------------------------

    def _send(self, message: ToEngine, payload: bytes = b"") -> None:
        self._outbox.send_nowait(to_engine.head(message, len(payload)))
        if payload:
            self._outbox.send_nowait(payload)

    async def _send_all(self, frames: MemoryObjectReceiveStream[bytes], stream: SocketStream) -> None:
        try:
            async for frame in frames:
                await stream.send(frame)
        except (anyio.BrokenResourceError, ConnectionError):
            pass  # the reader sees it, too

    async def _read_all(self, stream: SocketStream) -> None:
        reader: FrameReader[FromEngine] = FrameReader(from_engine)
        try:
            async for data in stream:
                for message, payload in reader.feed(data):
                    self._receive(message, payload)
        except (anyio.BrokenResourceError, ConnectionError, WireError):
            pass
        finally:
            self._lose()

    def _lose(self) -> None:
        self._lost.set()
        for event in (self._told, self._ready, self._drained):
            event.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EngineLost(_GONE))

    def _receive(self, message: FromEngine, payload: bytes) -> None:
        match message:
            case Answered(number):
                self._settle(number, self._answer(message, payload))
            case Raised(number, kind, words):
                self._settle(number, from_words(kind, words))
            case Snapshot():
                self._latest = _status.decode(payload)
                self._slos = {lane.model: lane.slo_s for lane in self._latest.lanes}
                self._told.set()
            case Hello(slo_s, max_pixels, max_bytes):
                self.slo_s, self.limits, self.max_bytes = slo_s, Limits(max_pixels=max_pixels), max_bytes
            case Serving(model):
                self._models[model.name, model.version] = model
                self._ready.set()
            case Drained():
                self._drained.set()

    def _settle(self, number: int, outcome: Answer | Exception) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or waiting.done():  # its waiter has left
            return
        if isinstance(outcome, Exception):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    def _answer(self, message: Answered, payload: bytes) -> Answer:
        model = self._models[message.model, message.version]
        members = b"" if message.tensors else payload
        reply = Reply(
            model, members, message.begun, message.decode_s, message.infer_s, message.batch,
            split(message.tensors, payload) if message.tensors else (), message.source, run_begun=message.run_begun,
        )  # fmt: skip
        return Answer(message.id, message.hash, reply, queued=message.queued)


def _message(
    number: int, task: Task, deadline: float | None, urgency: int, reuse: Reuse, owner: Owner, sticky: str
) -> ToEngine:
    asked = (number, deadline, urgency, task.want, task.model, task.version)
    if isinstance(task, ImageTask):
        return SubmitImage(*asked, task.header, reuse, owner, sticky)
    return SubmitTensor(*asked, task.dtype, task.shape, reuse, owner, sticky)
