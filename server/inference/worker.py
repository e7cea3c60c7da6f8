"""A worker process: `python -m server.inference.worker FD`, where FD is its end of a socket pair.

It is told its model by a `Load` frame, answers `Ready` once it is warm, and ends at the end of its socket,
which is also how it notices that its parent has died. Signals of the terminal and of service managers go to
the whole process group and are not for it: it ends when its parent is done with it.
"""

import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, cast

from preprocess.errors import ImageError
from preprocess.header import read_header
from preprocess.limits import Limits
from server.dispatch.wire import (
    AnyMessage,
    Begin,
    Drop,
    Frame,
    Item,
    Load,
    LoadFailed,
    Order,
    Prepare,
    Ready,
    Skipped,
    Trial,
    frame,
    read_frame,
)
from server.inference.answer import answerer
from server.inference.audition import Audition
from server.inference.card import find_model
from server.inference.digest import digest
from server.inference.engine import Engine
from server.inference.errors import ModelError
from server.inference.inbox import LARGE_PIXELS, Inbox, Job
from server.inference.model import Model, open_model, with_batch
from server.inference.pipeline import Pipeline
from server.inference.sizes import slots_beside
from server.inference.stages import Filler, Runner

_NICENESS = 10  # below web, which must stay prompt: it decides, refuses and answers health checks

_READ_BUFFER_BYTES = 1 << 18


def main(argv: list[str]) -> int:
    """Serve the socket given by its descriptor until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    with (
        socket.socket(fileno=int(argv[0])) as connection,
        connection.makefile("rb", buffering=_READ_BUFFER_BYTES) as file,
    ):
        stream = cast(BinaryIO, file)
        match _first_frame(stream):
            case (Load() as load, _):
                return _serve(connection, stream, load)
    return 0


def _first_frame(stream: BinaryIO) -> Frame | None:
    try:
        return read_frame(stream)
    except ConnectionError:  # closed before it was said what to load: the server was stopped while it started
        return None


def _serve(connection: socket.socket, stream: BinaryIO, load: Load) -> int:
    outbox = Outbox(connection)
    inbox = Inbox()
    orders: SimpleQueue[Order] = SimpleQueue()
    limits = Limits(max_pixels=load.max_pixels)
    # Before the model is loaded: a parent that dies meanwhile must not leave a worker behind.
    arguments = (stream, inbox, orders, outbox, limits)
    threading.Thread(target=_read, args=arguments, name="reader", daemon=True).start()
    try:
        model = _open(load, orders, outbox)
    except ModelError as error:
        outbox.send(frame(LoadFailed(str(error))))
        return 1
    engine = _engine(model, load, limits, inbox, outbox)
    outbox.send(frame(_ready(model, load.decoders)))
    engine.run_forever()
    return 0


def _open(load: Load, orders: "SimpleQueue[Order]", outbox: "Outbox") -> Model:
    """The model to serve, after its audition if there is to be one. Raises `ModelError`."""
    located = find_model(Path(load.model))
    model = open_model(
        located, load.max_batch, load.provider, load.device, decoders=load.decoders, threads=load.threads
    )
    if load.audition:
        model = Audition(located, load, model).run(orders, outbox.send)
    _give_back_memory()
    return with_batch(model, load.batch)


def _give_back_memory() -> None:
    """What opening took for a while, and closed sessions had, goes back to the system, where glibc can be told so."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        pass


def _engine(model: Model, load: Load, limits: Limits, inbox: Inbox, outbox: "Outbox") -> Engine | Pipeline:
    filler = Filler(model.session, limits, outbox.send)
    runner = Runner(model.session, answerer(model.output))
    if model.session.pipelined:  # pragma: no cover - on GPUs; tests/server/inference/test_pipeline.py
        return Pipeline(filler, runner, model.warmth.batch, inbox, outbox.send, decoders=load.decoders)
    return Engine(filler, runner, model.warmth.batch, inbox, outbox.send)


def _ready(model: Model, decoders: int) -> Ready:
    batch = model.warmth.batch  # twice that is granted: what runs, and what follows at once
    return Ready(
        name=model.card.name,
        version=model.card.version,
        digest=digest(model.file),
        input=str(model.session.input),
        provider=model.session.provider,
        grant=slots_beside(batch, decoders) if model.session.pipelined else 2 * batch,
        batch_seconds=model.warmth.profile.sizes,
        output=model.describe(),
    )


class Outbox:
    """The sending half of the socket, shared by the engine's thread and the reader's."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, frames: bytes) -> None:
        """Send whole frames. If the other end has gone, so does this process."""
        try:
            with self._lock:
                self._connection.sendall(frames)
        except ConnectionError:
            os._exit(0)


def _read(stream: BinaryIO, inbox: Inbox, orders: "SimpleQueue[Order]", outbox: Outbox, limits: Limits) -> None:
    """The reader's thread: jobs go to the inbox; the end of the socket ends the process, whatever it does."""
    try:
        while (received := read_frame(stream)) is not None:
            message, payload = received
            if isinstance(message, Prepare | Trial | Begin):
                orders.put(message)
            else:
                _receive(message, payload, inbox, outbox, limits)
    except ConnectionError:
        pass  # the other end closed while frames of ours were still on their way to it
    except Exception:  # noqa: BLE001 - nothing can be answered any more: say why, and end
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _receive(message: AnyMessage, payload: bytes, inbox: Inbox, outbox: Outbox, limits: Limits) -> None:
    match message:
        case Item(seq, deadline):
            inbox.put(Job(seq, deadline, payload, _is_large(payload, limits)))
        case Drop(seq):
            if inbox.remove(seq):
                outbox.send(frame(Skipped(seq)))


def _is_large(payload: bytes, limits: Limits) -> bool:
    try:
        return read_header(payload, limits).pixels > LARGE_PIXELS
    except ImageError:  # it will be found out again, and answered, where it is decoded
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
