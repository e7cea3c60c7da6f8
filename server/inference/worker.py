"""A worker process: `python -m server.inference.worker FD`, where FD is its end of a socket pair.

It is told its model by a `Load` frame, answers `Ready` once it is warm, and ends at the end of its socket,
which is also how it notices that its parent has died. Signals of the terminal and of service managers go to
the whole process group and are not for it: it ends when its parent is done with it.
"""

import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import BinaryIO, cast

from preprocess.limits import Limits
from server.dispatch.wire import AnyMessage, Drop, Item, Load, LoadFailed, Ready, Skipped, frame, read_frame
from server.inference.answer import Answerer
from server.inference.card import Card, ModelError, find_model
from server.inference.engine import Engine
from server.inference.inbox import Inbox, Job
from server.inference.session import Session, Warmth, digest

_NICENESS = 5  # below web, which must stay prompt: it decides, refuses and answers health checks

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
        match read_frame(stream):
            case (Load() as load, _):
                return _serve(connection, stream, load)
    return 0


def _serve(connection: socket.socket, stream: BinaryIO, load: Load) -> int:
    outbox = Outbox(connection)
    inbox = Inbox()
    # Before the model is loaded: a parent that dies meanwhile must not leave a worker behind.
    threading.Thread(target=_read, args=(stream, inbox, outbox), name="reader", daemon=True).start()
    try:
        model_file, card, session, warmth = _open(load)
    except ModelError as error:
        outbox.send(frame(LoadFailed(str(error))))
        return 1
    batch = warmth.profile.best_size(max(warmth.profile.sizes)) or 1
    limits = Limits(max_pixels=load.max_pixels)
    answerer = Answerer(card.output, warmth.probabilities)
    engine = Engine(session, answerer, limits, batch, inbox, outbox.send)
    outbox.send(frame(_ready(model_file, card, session, warmth, batch)))
    engine.run_forever()
    return 0


def _open(load: Load) -> tuple[Path, Card, Session, Warmth]:
    located = find_model(Path(load.model))
    session = Session(located.model_file, located.card, load.max_batch)
    return located.model_file, located.card, session, session.warm_up()


def _ready(model_file: Path, card: Card, session: Session, warmth: Warmth, batch: int) -> Ready:
    return Ready(
        name=card.name,
        version=card.version,
        digest=digest(model_file),
        input=session.input,
        provider=session.provider,
        grant=2 * batch,  # what runs, and what follows at once
        batch_seconds=warmth.profile.sizes,
    )


class Outbox:
    """The sending half of the socket, shared by the engine's thread and the reader's."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, frames: bytes) -> None:
        with self._lock:
            self._connection.sendall(frames)


def _read(stream: BinaryIO, inbox: Inbox, outbox: Outbox) -> None:
    """The reader's thread: jobs go to the inbox; the end of the socket ends the process, whatever it does."""
    try:
        while (received := read_frame(stream)) is not None:
            _receive(*received, inbox, outbox)
    except ConnectionError:
        pass  # the other end closed while frames of ours were still on their way to it
    except Exception:  # noqa: BLE001 - nothing can be answered any more: say why, and end
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _receive(message: AnyMessage, payload: bytes, inbox: Inbox, outbox: Outbox) -> None:
    match message:
        case Item(seq, deadline):
            inbox.put(Job(seq, deadline, payload))
        case Drop(seq):
            if inbox.remove(seq):
                outbox.send(frame(Skipped(seq)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
