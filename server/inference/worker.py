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
from pathlib import Path
from typing import BinaryIO, cast

from preprocess.limits import Limits
from server.dispatch.wire import Frame, Load, LoadFailed, Ready, frame, read_frame
from server.inference.answer import answerer
from server.inference.card import find_model
from server.inference.engine import Engine
from server.inference.errors import ModelError
from server.inference.inbox import Inbox
from server.inference.link import Outbox, PolledInbox, Source, end_with, read_forever, receiver
from server.inference.model import Model, open_model
from server.inference.pipeline import Pipeline
from server.inference.session import digest
from server.inference.sizes import slots_beside
from server.inference.stages import Filler, Runner

_NICENESS = 10  # below web, which must stay prompt: it decides, refuses and answers health checks


def main(argv: list[str]) -> int:
    """Serve the socket given by its descriptor until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    with socket.socket(fileno=int(argv[0])) as connection:
        match _first_frame(connection):
            case (Load() as load, _):
                return _serve(connection, load)
    return 0


def _first_frame(connection: socket.socket) -> Frame | None:
    try:
        with connection.makefile("rb") as stream:  # reads ahead, but nothing follows before this worker is ready
            return read_frame(cast(BinaryIO, stream))
    except ConnectionError:  # closed before it was said what to load: the server was stopped while it started
        return None


def _serve(connection: socket.socket, load: Load) -> int:
    end_with(connection)
    outbox = Outbox(connection)
    try:
        located = find_model(Path(load.model))
        model = open_model(located, load.max_batch, load.provider, load.device, load.threads)
    except ModelError as error:
        outbox.send(frame(LoadFailed(str(error))))
        return 1
    engine = _engine(model, load, connection, outbox)
    outbox.send(frame(_ready(model, load.threads)))
    engine.run_forever()
    return 0


def _engine(model: Model, load: Load, connection: socket.socket, outbox: Outbox) -> Engine | Pipeline:
    limits = Limits(max_pixels=load.max_pixels)
    filler = Filler(model.session, limits, outbox.send)
    runner = Runner(model.session, answerer(model.output))
    inbox = Inbox()
    source = Source(connection, receiver(inbox, outbox, limits))
    if model.session.pipelined:  # pragma: no cover - on GPUs; tests/server/inference/test_pipeline.py
        threading.Thread(target=read_forever, args=(source,), name="reader", daemon=True).start()
        return Pipeline(filler, runner, model.warmth.batch, inbox, outbox.send, threads=load.threads)
    return Engine(filler, runner, model.warmth.batch, PolledInbox(inbox, source), outbox.send)


def _ready(model: Model, threads: int) -> Ready:
    batch = model.warmth.batch  # twice that is granted: what runs, and what follows at once
    return Ready(
        name=model.card.name,
        version=model.card.version,
        digest=digest(model.file),
        input=str(model.session.input),
        provider=model.session.provider,
        grant=slots_beside(batch, threads) if model.session.pipelined else 2 * batch,
        batch_seconds=model.warmth.profile.sizes,
        output=model.describe(),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
