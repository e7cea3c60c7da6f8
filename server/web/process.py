"""The web process: `python -m server.web.process ENGINE BOARD FD...`, with the listening sockets it inherits: for
clients, and for admin resources where those have a port of their own. ENGINE: the path of a socket where it offers its
engine to other processes of this server, or "". BOARD: "", or the descriptor of the numbers that it shares with the
fronts which read from clients; the first socket is then a Unix socket, for what they pass on.

Its standard input is its tie to the supervisor: one line of settings, then nothing until it is told to drain
(server/process/control.py). Signals of a terminal go to the whole process group; this process leaves them to the
supervisor.
"""

import server.process.lean  # noqa: F401 - before structlog

# isort: split
import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import anyio
import structlog
import uvloop

from server import demo
from server.access.errors import AccessError
from server.access.setup import set_up
from server.cleanup.spool import Spool, SpoolFailed
from server.consume.ledger import STATE, read_state
from server.consume.metrics import ConsumerCollector
from server.drift.monitor import Monitor
from server.engine import AbsentEngine, Engine, EngineFailed, serve_engine
from server.engine.groups import leaves
from server.engine.wide import WideEngine
from server.models.card import MODEL_FILE, find_model
from server.models.errors import ModelError
from server.process import console, logs, signals, systemd
from server.process.board import Board
from server.process.clock_watch import ClockWatch
from server.process.collector import spare_the_collector
from server.process.control import EXIT_FATAL, Control, read_first_line
from server.process.file_watch import watch
from server.process.memory import usable_memory
from server.rollout.steering import Steering
from server.settings import Settings, derived
from server.settings.topics import StorageSettings
from server.web.app import build_app
from server.web.banner import banner, forwarding_banner
from server.web.client import TrustedProxies
from server.web.drifts import Drifts
from server.web.front import Front, serve
from server.web.gate import Gate
from server.web.http.connections import Connections
from server.web.http.shared_connections import AllConnections
from server.web.http.versions import WrongVersion
from server.web.keeping import Keeping
from server.web.listening import Listening
from server.web.observed_metrics import ClockMetrics
from server.web.observing import observing
from server.web.oip.repository import Repository
from server.web.rollout_metrics import RolloutCollector
from server.web.rollouts import Rollouts
from server.web.rpc.errors import RpcFailed
from server.web.runtime import Runtime
from server.web.tls import TlsFailed, certificates_of
from server.web.uploads import FOR_UPLOADS, BodyLimits, Uploads
from server.web.watch import Watch

_ADMIN_CONNECTIONS = 64

log = structlog.stdlib.get_logger("tureen.web")


def main(argv: list[str]) -> int:
    """Serve until told to drain. Returns 0, or `EXIT_FATAL` if serving is impossible."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    offered, shared, *descriptors = argv
    listeners = [int(fd) for fd in descriptors]
    board = Board(int(shared), 0) if shared else None
    for listener in listeners:
        os.set_inheritable(listener, False)  # a worker that held it too would keep the port open after this closed it
    settings = Settings.model_validate_json(read_first_line())
    code = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, listeners, Path(offered) if offered else None, board))
        except* (AccessError, EngineFailed, RpcFailed, SpoolFailed, TlsFailed, WrongVersion) as group:
            log.error("cannot_serve", reason=str(leaves(group)[0]))
            code = EXIT_FATAL
    return code


async def _run(settings: Settings, listeners: Sequence[int], offered: Path | None, board: Board | None) -> None:
    """`offered`: where the engine is offered to others. `board`: None where there are no fronts."""
    control = await Control.on_standard_input()
    access = set_up(settings.auth, settings.cache.redis_url)
    certificates = certificates_of(settings)
    proxies = TrustedProxies(settings.server.trusted_proxies)
    connections = Connections(derived.connections(settings.server, usable_memory()))
    async with AsyncExitStack() as stack:
        forwards = bool(settings.queues.forward)
        keeping = await _keeping(stack, settings.storage, forwards)  # before the engine: it ends after it
        drift = Monitor(_folder_of(settings), Runtime.wall_s)
        steering = Steering(drift, settings.repository.standby, Runtime.wall_s, stored=keeping is not None)
        engine: Engine | AbsentEngine = await stack.enter_async_context(_engine(settings, steering, board))
        runtime = Runtime(engine, AllConnections(board) if board else connections)
        observer = await stack.enter_async_context(observing(settings, runtime, keeping, certificates))
        metrics = observer.metrics
        clock = ClockWatch(Runtime.wall_s, time.monotonic)
        metrics.registry.register(RolloutCollector(steering))
        metrics.registry.register(ClockMetrics(lambda: clock.steps))
        upload = settings.upload
        uploads = Uploads(BodyLimits(upload.max_image_bytes, upload.upload_timeout, upload.min_upload_rate))
        if offered:
            note_refusals = engine.note_refusals if isinstance(engine, Engine) else lambda reason, count: None
            listening = Listening(runtime, metrics, uploads, note_refusals)
            await stack.enter_async_context(serve_engine(engine, offered, listening.hear))
        if offered and settings.queues.consume:
            metrics.registry.register(ConsumerCollector(lambda: read_state(offered.with_name(STATE))))
        watcher = Watch(runtime, metrics, engine.workers if isinstance(engine, Engine) else tuple)
        for tell in (metrics.loop_lag.observe, watcher.on_lag):
            engine.delay.tell(tell)
        request_bytes = derived.request_bytes(upload, usable_memory())
        open_records = settings.storage.records == "open"
        background = await stack.enter_async_context(anyio.create_task_group())  # leaving waits for it
        gate = Gate(access.authenticator, access.limits, metrics.count_auth_refusal, access.rates, access.in_flight)
        models = engine.models if settings.repository.models and isinstance(engine, Engine) else None
        more = [*(Rollouts(models, steering).routes() if models else ()), *Drifts(drift).routes()]
        proxies = TrustedProxies(settings.server.trusted_proxies)
        share = partial(
            build_app, runtime, gate, observer, uploads, proxies, keeping,
            background=background, origins=settings.protocols.origins, request_bytes=request_bytes,
            models=models, more=more, open_records=open_records, forwards=forwards, watch=watcher,
        )  # fmt: skip
        with_header = proxies if settings.server.proxy_protocol else TrustedProxies("")
        to_clients = share(admin=settings.is_local)
        fronts = [Front(to_clients, listeners[0], connections, with_header.contains)]
        if board:  # whoever connects is a front, which has decrypted and says for whom it speaks
            fronts = [Front(to_clients, listeners[0], connections, lambda peer: True, encrypted=False)]
        if not settings.is_local:  # with connections of its own: clients cannot take those of the operator
            fronts.append(Front(share(admin=True, clients=False), listeners[1], Connections(_ADMIN_CONNECTIONS)))
        stopping = asyncio.Event()
        stop = partial(_until_stop, control, runtime, uploads, settings.server.shutdown_timeout, stopping)
        async with asyncio.TaskGroup() as tasks:
            announced = _announce(engine, settings, listeners)
            beside = [
                tasks.create_task(work)
                for work in (announced, access.run(), drift.run(), watcher.run(), clock.run(), systemd.signs_of_life())
            ]
            if models:
                beside.append(tasks.create_task(steering.run(models)))
            if certificates:
                beside.append(tasks.create_task(watch(certificates.paths, certificates.reload)))
            if settings.protocols.grpc_port is not None:
                from server.web.rpc.server import serve as serve_rpc  # an extra

                changes = Repository(models) if models and (settings.is_local or gate.checks_keys) else None
                tasks.create_task(
                    serve_rpc(settings, runtime, gate, proxies, observer, request_bytes, stopping.wait, changes)
                )
            await serve(fronts, settings, certificates, stop)
            for task in beside:
                task.cancel()


def _engine(settings: Settings, steering: Steering, board: Board | None) -> Engine | AbsentEngine:
    if settings.queues.forward:
        return AbsentEngine(settings)
    if board:
        return WideEngine(settings, board, wait_ready=False, router=steering.route, observer=steering)
    return Engine(settings, wait_ready=False, router=steering.route, observer=steering)


def _folder_of(settings: Settings) -> Callable[[str, str], Path | None]:
    """Where the references of versions lie: beside their `model.onnx`. A single file has no folder of its own."""
    if folder := settings.repository.models:
        return lambda model, version: Path(folder) / model / version
    try:
        file = find_model(settings.model or demo.FOLDER).model_file
    except ModelError:
        return lambda model, version: None  # the engine says why it cannot serve it
    return lambda model, version: file.parent if settings.model and file.name == MODEL_FILE else None


async def _keeping(stack: AsyncExitStack, storage: StorageSettings, forwards: bool) -> Keeping | None:
    """Where answered images are put, if anywhere. Raises `SpoolFailed`."""
    if not storage.store:
        return None
    durable = forwards or storage.store_policy == "required"
    spool = Spool(storage.spool_folder, storage.spool_bytes, storage.spool_items, durable=durable)
    return Keeping(await stack.enter_async_context(spool.running()), storage)


async def _until_stop(
    control: Control, runtime: Runtime, uploads: Uploads, timeout_s: float, stopping: asyncio.Event
) -> float:
    """Wait until it is time to stop listening. Seconds that are left then: half of them for uploads, the rest for
    answers."""
    await control.wait_stop(runtime.drain)
    stopping.set()
    left_s = max(0.0, timeout_s - runtime.draining_s)
    uploads.end_within(left_s * FOR_UPLOADS)
    return left_s


async def _announce(engine: Engine | AbsentEngine, settings: Settings, listeners: Sequence[int]) -> None:
    if isinstance(engine, AbsentEngine):
        systemd.notify("READY=1")
        console.say(forwarding_banner(settings, listeners))
        return
    model = await engine.wait_ready()
    spare_the_collector()
    served = [f"{lane.model} {lane.version}" for lane in engine.status().lanes if lane.takes_traffic]
    systemd.notify("READY=1")
    console.say(banner(model, settings, listeners, engine.placement.why, engine.layout, served))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
