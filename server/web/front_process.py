"""One of several web processes: `python -m server.web.front_process FOLDER BOARD ROW FD`.

It reads requests and writes answers; the engine's process, behind two sockets in FOLDER, does the rest. BOARD is the
descriptor of the numbers that all processes share, ROW its own row there, FD the listening socket for clients. Its
standard input is as that of `server.web.process`.
"""

import server.process.lean  # noqa: F401 - before structlog

# isort: split
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import structlog
import uvloop
from starlette.types import ASGIApp

from server.engine.groups import leaves
from server.engine.remote import RemoteEngine
from server.process import console, logs, signals
from server.process.access_log import AccessLog
from server.process.board import Board
from server.process.collector import spare_the_collector
from server.process.control import EXIT_FATAL, Control, read_first_line
from server.process.file_watch import watch
from server.process.memory import usable_memory
from server.settings import Settings, derived
from server.web.app import Application
from server.web.client import TrustedProxies
from server.web.cors import NOBODY, Cors
from server.web.early_reject import EarlyReject
from server.web.exchange import Exchange
from server.web.front import Front, serve
from server.web.front_app import FrontApp
from server.web.gate import Gate
from server.web.http.pacing import Pacing
from server.web.http.shared_connections import SharedConnections
from server.web.http.versions import WrongVersion
from server.web.images import Images
from server.web.observer import Observer
from server.web.refusals import Refusals
from server.web.relay import Relay
from server.web.runtime import Runtime
from server.web.tally import AnyNote, Ending, Tally, Unready, encode
from server.web.tls import TlsFailed, certificates_of
from server.web.uploads import FOR_UPLOADS, BodyLimits, Uploads

ENGINE_SOCKET: Final = "engine.sock"
HTTP_SOCKET: Final = "http.sock"
_MANY: Final = 8
_TELL_S: Final = 0.02  # after something has happened

log = structlog.stdlib.get_logger("tureen.web")


class _Front(NamedTuple):
    """What this process is made of."""

    settings: Settings
    engine: RemoteEngine
    runtime: Runtime
    tally: Tally
    uploads: Uploads

    def tell(self) -> None:
        """Tell the engine's process what has been counted. While there is none, it waits here."""
        if self.engine.is_connected and (tallied := self.tally.take()):
            self.note(tallied)

    def room(self) -> int:
        """For how many uploads there is room now, as far as is known here: many while none waits."""
        return 0 if self.engine.status().stats.waiting else _MANY

    def on_lag(self, late_s: float) -> None:
        """The event loop was late by so many seconds: told ten times per second."""
        self.tally.note_lag(late_s)
        self.tell()

    def note(self, note: AnyNote) -> None:
        """Tell the engine's process."""
        self.engine.note(encode(note))


def main(argv: list[str]) -> int:
    """Serve until told to drain. Returns 0, or `EXIT_FATAL` if serving is impossible."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    folder, board, row, listener = Path(argv[0]), int(argv[1]), int(argv[2]), int(argv[3])
    os.set_inheritable(listener, False)
    settings = Settings.model_validate_json(read_first_line())
    code = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, folder, Board(board, row), listener))
        except* (TlsFailed, WrongVersion) as group:
            log.error("cannot_serve", reason=str(leaves(group)[0]))
            code = EXIT_FATAL
    return code


async def _run(settings: Settings, folder: Path, board: Board, listener: int) -> None:
    control = await Control.on_standard_input()
    certificates = certificates_of(settings)
    connections = SharedConnections(derived.connections(settings.server, usable_memory()), board)
    upload = settings.upload
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(RemoteEngine(folder / ENGINE_SOCKET, board=board))
        tally = Tally(lambda: tell_soon())
        uploads = Uploads(BodyLimits(upload.max_image_bytes, upload.upload_timeout, upload.min_upload_rate))
        front = _Front(settings, engine, Runtime(engine, connections), tally, uploads)
        engine.delay.tell(front.on_lag)
        engine.on_early_refusal = tally.note_early_refusal
        tell_soon = partial(asyncio.get_running_loop().call_later, _TELL_S, front.tell)
        proxies = TrustedProxies(settings.server.trusted_proxies)
        app = _application(front, proxies, Relay(folder / HTTP_SOCKET))
        with_header = proxies if settings.server.proxy_protocol else TrustedProxies("")
        spare_the_collector()
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(watch(one.paths, one.reload)) for one in (certificates,) if one]
            fronts = [Front(app, listener, connections, with_header.contains, leave=connections.has_too_many)]
            await serve(fronts, settings, certificates, partial(_until_stop, control, front))
            for task in watching:
                task.cancel()
        front.tell()


def _application(front: _Front, proxies: TrustedProxies, relay: Relay) -> Application:
    settings, runtime, tally, uploads = front.settings, front.runtime, front.tally, front.uploads
    observer = Observer(tally, AccessLog(settings.server.access_log))
    origins = settings.protocols.origins
    cors = Cors(origins) if origins else NOBODY
    refusals = Refusals(observer, runtime.now)
    gate = Gate(None)
    early_reject = EarlyReject(runtime, gate, proxies, refusals, uploads.limits.max_bytes, cors)
    images = Images(runtime, tally, uploads.limits.max_bytes)
    exchange = Exchange(images.post, gate, runtime, observer, uploads, early_reject.arm, proxies, cors)
    own: ASGIApp | None = exchange if answers_uploads(settings) else None
    app = FrontApp(own, relay, tally.count, front.tell)
    pacing = Pacing(proxies, front.room, tally.note_refusal_delay, asyncio.get_running_loop())
    return Application(app, early_reject, refusals, pacing)


def answers_uploads(settings: Settings) -> bool:
    """Whether fronts answer uploads themselves: where nothing is to be known of a request but its image."""
    auth, telemetry = settings.auth, settings.telemetry
    limits = auth.is_set or auth.client_rate or auth.client_burst or auth.client_images
    kept = settings.storage.store or settings.queues.forward
    return not (limits or kept or telemetry.otlp_endpoint or telemetry.prediction_log)


async def _until_stop(control: Control, front: _Front) -> float:
    """As `server.web.process` does, and the engine's process is told."""
    runtime, timeout_s = front.runtime, front.settings.server.shutdown_timeout

    def drain() -> None:
        runtime.drain()
        front.note(Unready())

    await control.wait_stop(drain)
    left_s = max(0.0, timeout_s - runtime.draining_s)
    front.uploads.end_within(left_s * FOR_UPLOADS)
    front.note(Ending(left_s * FOR_UPLOADS))
    return left_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
