"""A worker process: `python -m server.inference.worker FD`, where FD is its end of a socket pair.

A `Load` frame names its model. It answers `Ready` once it is warm, and ends when its socket ends, which also tells it
that its parent has died. Signals of the terminal and of service managers go to
the whole process group and are not for it: it ends when its parent is done with it.
"""

import ctypes
import os
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from preprocess.limits import Limits
from server.contract.wire import (
    Begin,
    Frame,
    Load,
    LoadFailed,
    Order,
    Overspent,
    Prepare,
    Ready,
    Trial,
    WireError,
    frame,
    read_frame,
)
from server.inference.cpu_watch import CpuWatch
from server.inference.engine import Engine
from server.inference.inbox import Inbox
from server.inference.link import Outbox, PolledInbox, Source, end_with, read_forever, receiver
from server.inference.looking import Looker
from server.inference.memory_ceiling import set_ceiling
from server.inference.model import Model, metadata, open_model, with_batch
from server.inference.onnx.providers import Gpu
from server.inference.onnx.sizes import slots_beside
from server.inference.pipeline import Pipeline
from server.inference.sampling import Sampler
from server.inference.stages import Filler, Runner
from server.inference.trials import StartUpBenchmark
from server.inference.warmup import decode_pace
from server.models.card import Located, find_model
from server.models.digest import digest
from server.models.errors import ModelError
from server.models.render import answerer
from server.process import console, signals

_NICENESS = 10  # below web, which must stay prompt: it decides, refuses and answers health checks


def main(argv: list[str]) -> int:
    """Serve the socket given by its descriptor until it ends."""
    console.secure_descriptors()
    signals.ignore()
    os.nice(_NICENESS)
    with socket.socket(fileno=int(argv[0])) as connection, connection.makefile("rb") as file:
        stream = cast(BinaryIO, file)  # it reads ahead, but until this worker is ready it is told one thing at a time
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
    end_with(connection)
    outbox = Outbox(connection)
    try:
        located = find_model(Path(load.model))
        found = _digest(located, load)
        model = _open(located, load, stream, outbox)
    except ModelError as error:
        outbox.send(frame(LoadFailed(str(error))))
        return 1
    engine = _engine(model, load, connection, outbox)
    set_ceiling(load.memory_growth)
    outbox.send(frame(_ready(model, found, load.decoders)))
    engine.run_forever()
    return 0


def _digest(located: Located, load: Load) -> str:
    """The model's digest. Raises `ModelError` unless it is the one that is to be served."""
    try:
        found = digest(located.model_file)
    except OSError as error:
        raise ModelError(f"{located.model_file}: {error.strerror}") from error
    if load.digest not in ("", found):
        raise ModelError(
            f"its files have changed: what was started has the digest {load.digest}, and there is {found}. Restart to"
            " serve what is there"
        )
    return found


def _open(located: Located, load: Load, stream: BinaryIO, outbox: Outbox) -> Model:
    """The model to serve, after its start-up benchmark if there is to be one. Raises `ModelError`."""
    gpu = Gpu(load.device, load.cuda_graphs, load.gpu_memory_limit)
    how = {"decoders": load.decoders, "threads": load.threads}
    model = open_model(located, load.max_batch, load.provider, gpu, precision=load.precision, **how)
    if load.benchmark:
        model = StartUpBenchmark(located, load, model).run(partial(_next_order, stream), outbox.send)
    _give_back_memory()
    return with_batch(model, load.batch)


def _next_order(stream: BinaryIO) -> Order:
    """What to do next in the start-up benchmark; the end of the stream ends the process."""
    match read_frame(stream):
        case ((Prepare() | Trial() | Begin()) as order, _):
            return order
        case None:
            os._exit(0)
        case (message, _):
            raise WireError(f"{type(message).__name__} is no order")


def _give_back_memory() -> None:
    """What opening took for a while, and closed sessions had, goes back to the system, where glibc can be told so."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        pass


def _engine(model: Model, load: Load, connection: socket.socket, outbox: Outbox) -> Engine | Pipeline:
    watch = CpuWatch(lambda seq: outbox.send(frame(Overspent(seq))), decode_pace(model.session))
    watch.start()
    limits = Limits(max_pixels=load.max_pixels)
    looker = Looker(model.output, limits)
    filler = Filler(model.session, limits, outbox.send, watch, looker)
    runner = Runner(model.session, answerer(model.output), model.card.name, model.card.version, looker)
    sampler = Sampler(model.session, model.output, model.warmth.profile.seconds(1) or 0.0, outbox.send)
    inbox = Inbox()
    source = Source(connection, receiver(inbox, outbox, sampler.separate))
    if model.session.pipelined:  # pragma: no cover - on GPUs; tests/server/inference/test_pipeline.py
        threading.Thread(target=read_forever, args=(source,), name="reader", daemon=True).start()
        return Pipeline(filler, runner, sampler, model.warmth.batch, inbox, outbox.send, decoders=load.decoders)
    return Engine(filler, runner, sampler, model.warmth.batch, PolledInbox(inbox, source), outbox.send)


def _ready(model: Model, found: str, decoders: int) -> Ready:
    batch = model.warmth.batch  # twice that is granted: what runs, and what follows at once
    return Ready(
        model=metadata(model, found),
        grant=slots_beside(batch, decoders) if model.session.pipelined else 2 * batch,
        batch_seconds=model.warmth.profile.sizes,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
