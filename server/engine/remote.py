"""An engine in another process, by the Unix socket at which `serve_engine` offers it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import msgspec

from batcher import NoExecutor, QueueFull, Refused, WouldBeLate
from batcher.policy import DEFAULT_URGENCY
from batcher.stats import Stats
from preprocess.cost import decode_seconds
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
    Note,
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
from server.engine.pipe import Pipe
from server.engine.recent_refusal import RecentRefusal
from server.engine.shared import SharedArrivals
from server.engine.wire_errors import from_words
from server.process.board import ARRIVING, SUBMITTED, Board

_GONE = "the engine has gone"
_RETRY_S = 1.0
_RECONNECT_S = 0.05
_NOTHING = Status(Stats(0, 0, 0, 0, 0, 0.0, None, 0, 0, 0, 0, {}, {}, {}), 0, started=False)

_status = msgspec.msgpack.Decoder(Status)


class RemoteEngine:
    """An `Intake` over a socket. Use it as an async context manager; entering waits until the engine has a model.

    Verdicts on tasks come from the engine; `refusal` knows only recent ones, and `reserve` goes by the latest status,
    which is a tenth of a second old. Entering raises `OSError` if there is no such socket. When the engine goes, what
    waits raises `EngineLost`, and so does all that comes later.

    With a `board` it is one of several front ends of a server. The bytes of all of them are bounded together. Entering
    waits for nothing, and a lost connection is made again: until then tasks are refused with `NoExecutor`, as are those
    that were lost.

    The whole state: `_waiting` (a future per task under way), `_models` and `_latest` (what the engine told), `_pipe`.
    """

    def __init__(self, path: Path, *, wait_ready: bool = True, board: Board | None = None) -> None:
        self.slo_s = 1.0
        self.limits = Limits()
        self.max_bytes = 0
        self.delay = LoopDelay()
        self._path = path
        self._wait_ready = wait_ready
        self._board = board
        self._stack = AsyncExitStack()
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._models: dict[tuple[str, str], ModelMetadata] = {}
        self._latest = _NOTHING
        self._slos: Mapping[str, float] = {}
        self._arrivals: Arrivals = SharedArrivals(self, board) if board else Arrivals(self)
        self._told, self._ready, self._drained, self._lost = (anyio.Event() for _ in range(4))
        self._reader: FrameReader[FromEngine]
        self._pipe: Pipe | None = None
        self._refused: RecentRefusal | None = None
        self.on_early_refusal: Callable[[str], None] = lambda reason: None
        """Called with the reason, as the batcher counts it, of each refusal that was decided here."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if not self._board:
                await self._connect()  # a task group would wrap its `OSError`
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            stack.callback(self._close)
            tasks.start_soon(self.delay.watch, lambda _: None)
            if self._board:
                self._lost.set()
                tasks.start_soon(self._stay_connected)
            else:
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
            raise self._gone()
        number, size = next(self._numbers), len(task.payload)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        if self._board:
            self._board.add(SUBMITTED, size)
        self._send(_message(number, task, deadline, urgency, reuse, owner, sticky), task.payload)
        try:
            return await waiting
        except asyncio.CancelledError:
            self._send(Cancel(number))
            raise
        except (WouldBeLate, QueueFull) as error:
            if not task.model and deadline is not None:
                self._refused = RecentRefusal(error, time.monotonic(), deadline, urgency, task.prepare_s, owner.id)
            raise
        finally:
            del self._waiting[number]
            if self._board:
                self._board.add(SUBMITTED, -size)

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
        """As `Intake.refusal`, by what the engine said of another task a moment ago; None if it said nothing.

        Only for a front end of its own server, which tells it what was refused so.
        """
        recent, now = self._refused, time.monotonic()
        if self._board is None or not recent:
            return None
        if not recent.holds_for(now, deadline, urgency, decode_seconds(header, size), owner.id):
            return None
        self.on_early_refusal("would_be_late" if isinstance(recent.error, WouldBeLate) else "queue_full")
        return recent.error

    def remembers(self, size: int, payload: bytes | None, owner: Owner = NOBODY) -> bool:
        """Whether anything is: of what, only the engine can tell."""
        return self._board is not None and self._latest.reuse.cache_entries > 0

    async def forget(self, content: str, account: str = "") -> None:
        """As `Intake.forget`; it does not wait."""
        self._send(Forget(content, account))

    def status(self) -> Status:
        """As `Intake.status`: what the engine told last."""
        return replace(self._latest, arriving_bytes=self._arrivals.bytes)

    async def wait_ready(self) -> ModelMetadata:
        """As `Intake.wait_ready`. Raises `EngineLost`."""
        await self._ready.wait()
        if not self._models:
            raise EngineLost(_GONE)
        return self._latest.model or next(iter(self._models.values()))

    async def drain(self) -> None:
        """Wait until the engine has answered all that was sent over this socket; it goes on for others."""
        if not self._lost.is_set():
            self._send(Drain())
            await self._drained.wait()

    def note(self, payload: bytes) -> None:
        """Tell whoever serves the engine something that the engine itself does not read."""
        self._send(Note(), payload)

    @property
    def is_connected(self) -> bool:
        """Whether there is an engine at the other end, as far as is known."""
        return not self._lost.is_set()

    async def wait_lost(self) -> None:
        """Wait until the engine has gone. Cancellation: stops waiting."""
        await self._lost.wait()

    # -- for arrivals --------------------------------------------------------------------------------

    longest_linger_s = 0.0
    """Nothing here can make a batch wait."""

    @property
    def free_bytes(self) -> int:
        """As `Room.free_bytes`, by the latest status; of other front ends of this server, exactly."""
        held = self._latest.stats.held_bytes
        if self._board:
            return self.max_bytes - max(held, self._board.total(SUBMITTED)) - self._board.others(ARRIVING)
        return self.max_bytes - held

    def check_room(self, size: int) -> None:
        """As `Room.check_room`, by the latest status."""
        # Where this is a server's own front, its engine says whether to wait for a worker that is being replaced.
        can_answer = bool(self._models) if self._board else self._latest.ready
        if self._lost.is_set() or not can_answer:
            raise NoExecutor("no worker is ready", _RETRY_S)
        if size > self.free_bytes:
            raise QueueFull(f"{self.max_bytes} bytes are held already", _RETRY_S)

    def announce(self, count: int) -> None:
        """Nothing: see `longest_linger_s`."""

    # -- inside --------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Raises `OSError`."""
        self._pipe = pipe = Pipe(self._read, self._lose, self._begin)
        await asyncio.get_running_loop().create_unix_connection(lambda: pipe, str(self._path))

    def _begin(self) -> None:
        """It is connected. CORRECTNESS: not before: what is submitted meanwhile would be sent to nobody, and wait."""
        self._reader = FrameReader(from_engine)
        self._told, self._ready, self._drained, self._lost = (anyio.Event() for _ in range(4))

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._connect()
                await self._lost.wait()
            except OSError:  # it is starting
                pass
            await anyio.sleep(_RECONNECT_S)

    def _close(self) -> None:
        if self._pipe:
            self._pipe.close()

    def _send(self, message: ToEngine, payload: bytes = b"") -> None:
        if self._pipe:
            self._pipe.send(to_engine.head(message, len(payload)), payload)

    def _read(self, data: bytes) -> None:
        try:
            for message, payload in self._reader.feed(data):
                self._receive(message, payload)
        except WireError:
            if self._pipe:
                self._pipe.abort()

    def _lose(self) -> None:
        self._latest, self._models = _NOTHING, {}
        for event in (self._lost, self._told, self._ready, self._drained):
            event.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self._gone())

    def _gone(self) -> Exception:
        return NoExecutor(_GONE, _RETRY_S) if self._board else EngineLost(_GONE)

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
