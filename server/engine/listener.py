"""An engine offered to front ends in other processes, over a Unix socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from server.contract.answer import Answer
from server.contract.engine_frames import (
    Answered,
    Cancel,
    Drain,
    Drained,
    Forget,
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
from server.contract.framing import FrameReader, WireError
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask, Task, TensorTask
from server.engine.intake import Intake
from server.engine.pipe import Pipe
from server.engine.wire_errors import to_words

_SNAPSHOT_S = 0.1

log = structlog.stdlib.get_logger("tureen.engine")


Hear = Callable[[bytes], None]


def _ignore(note: bytes) -> None:
    """Nobody listens."""


@asynccontextmanager
async def serve_engine(engine: Intake, path: Path, hear: Hear = _ignore) -> AsyncIterator[None]:
    """Offer `engine` at `path` while entered; only this user may connect. A socket left behind there is replaced.

    Front ends share one queue and one promise. What a front end has under way is taken back when it disconnects.
    `hear` is called with each `Note` of a front end. Raises `OSError` if the socket cannot be made.
    """
    front_ends: set[_FrontEnd] = set()
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: _FrontEnd(engine, hear, front_ends).pipe, sock=_bound(path)
    )
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - one system call
        await asyncio.gather(*[front_end.end() for front_end in list(front_ends)])


def _bound(path: Path) -> socket.socket:
    if path.is_socket():
        path.unlink()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    path.chmod(0o600)  # before it listens
    return sock


class _FrontEnd:
    """One front end. Its state: the tasks it has under way, by its numbers; the models it knows; whether it drains."""

    def __init__(self, engine: Intake, hear: Hear, others: "set[_FrontEnd]") -> None:
        """`others`: all that are connected."""
        self.pipe = Pipe(self._read, self._gone, self._made)
        self._engine = engine
        self._hear = hear
        self._others = others
        self._reader: FrameReader[ToEngine] = FrameReader(to_engine)
        self._told: set[ModelMetadata] = set()
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._draining = False

    async def end(self) -> None:
        """Hang up, and wait until what it had under way has been taken back."""
        self.pipe.close()
        tasks = [*self._under_way.values(), *self._beside]
        self._gone()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what happens on the pipe --------------------------------------------------------------------

    def _made(self) -> None:
        self._others.add(self)
        self._do_beside(self._tell_status())

    def _gone(self) -> None:
        self._others.discard(self)
        for task in (*self._under_way.values(), *self._beside):
            task.cancel()

    def _read(self, data: bytes) -> None:
        try:
            for message, payload in self._reader.feed(data):
                self._receive(message, payload)
        except WireError as error:
            log.error("front_end_garbled", reason=str(error))
            self.pipe.abort()

    def _receive(self, message: ToEngine, payload: bytes) -> None:
        match message:
            case SubmitImage() | SubmitTensor():
                number = message.number
                task = self._under_way[number] = asyncio.create_task(self._answer(message, payload))
                task.add_done_callback(lambda _: self._ended(number))
            case Cancel(number):
                if number in self._under_way:
                    self._under_way[number].cancel()
            case Note():
                self._hear(payload)
            case Forget(content, account):
                self._do_beside(self._engine.forget(content, account))
            case Drain():
                self._draining = True
                self._tell_drained()

    # -- inside --------------------------------------------------------------------------------------

    def _do_beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _tell_status(self) -> None:
        """Tell what the engine is, and how it is as often as that changes."""
        engine, last = self._engine, b""
        self.pipe.send(from_engine.frame(Hello(engine.slo_s, engine.limits.max_pixels, engine.max_bytes)))
        while True:
            status = engine.status()
            for lane in status.lanes:
                if lane.metadata:
                    self._tell_model(lane.metadata)
            snapshot = msgspec.msgpack.encode(status)
            if snapshot != last:
                self.pipe.send(from_engine.frame(Snapshot(), snapshot))
                last = snapshot
            await asyncio.sleep(_SNAPSHOT_S)

    def _tell_model(self, model: ModelMetadata) -> None:
        if model not in self._told:
            self._told.add(model)
            self.pipe.send(from_engine.frame(Serving(model)))

    async def _answer(self, message: SubmitImage | SubmitTensor, payload: bytes) -> None:
        try:
            answer = await self._engine.submit(
                _task(message, payload), message.deadline, message.urgency, message.reuse, message.owner,
                message.sticky,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever it is, its front end is waiting to hear of it
            self.pipe.send(from_engine.frame(Raised(message.number, *to_words(error))))
            return
        self._tell_model(answer.model)
        self.pipe.send(*_frame(message.number, answer))

    def _ended(self, number: int) -> None:
        del self._under_way[number]
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._draining and not self._under_way:
            self.pipe.send(from_engine.frame(Drained()))


def _task(message: SubmitImage | SubmitTensor, payload: bytes) -> Task:
    want, model, version = message.want, message.model, message.version
    if isinstance(message, SubmitTensor):
        return TensorTask(payload, message.dtype, message.shape, want, model, version)
    return ImageTask(payload, message.header, want, model, version)


def _frame(number: int, answer: Answer) -> tuple[bytes, bytes]:
    reply = answer.reply
    message = Answered(
        number, answer.id, answer.hash, reply.begun, reply.decode_s, reply.infer_s, reply.batch,
        reply.model.name, reply.model.version, tuple(tensor.spec for tensor in reply.tensors), reply.source,
        answer.queued, reply.run_begun,
    )  # fmt: skip
    payload = reply.members or b"".join(tensor.data for tensor in reply.tensors)
    return from_engine.head(message, len(payload)), payload
