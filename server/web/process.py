"""The web process: `python -m server.web.process FD...`, with the listening sockets it inherits: for clients, and for
admin resources where those have a port of their own.

Its standard input is its tie to the supervisor: one line of settings, then nothing until it is told to drain
(server/process/control.py). Signals of a terminal go to the whole process group; this process leaves them to the
supervisor.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog
import uvloop

from server.access.errors import AccessError
from server.access.setup import set_up
from server.cleanup.spool import Spool, SpoolFailed
from server.engine import Engine, EngineFailed
from server.engine.groups import leaves
from server.process import console, logs, signals
from server.process.control import Control, read_first_line
from server.process.file_watch import watch
from server.process.memory import usable_memory
from server.settings import Settings, derived
from server.settings.topics import StorageSettings
from server.web.app import build_app
from server.web.banner import banner
from server.web.client import TrustedProxies
from server.web.front import Front, serve
from server.web.gate import Gate
from server.web.http.connections import Connections
from server.web.http.versions import WrongVersion
from server.web.keeping import Keeping
from server.web.observing import observing
from server.web.runtime import Runtime
from server.web.tls import Certificates, TlsFailed
from server.web.uploads import BodyLimits, Uploads
from server.web.watch import Watch

_ADMIN_CONNECTIONS = 64
EXIT_FATAL = 3  # starting again would fail again
_FOR_UPLOADS = 0.5  # of the time in which everything must have ended

log = structlog.stdlib.get_logger("tureen.web")


def main(argv: list[str]) -> int:
    """Serve until told to drain. Returns 0, or `EXIT_FATAL` if serving is impossible."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    listeners = [int(fd) for fd in argv]
    for listener in listeners:
        os.set_inheritable(listener, False)  # a worker that held it too would keep the port open after this closed it
    settings = Settings.model_validate_json(read_first_line())
    code = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, listeners))
        except* (AccessError, EngineFailed, SpoolFailed, TlsFailed, WrongVersion) as group:
            log.error("cannot_serve", reason=str(leaves(group)[0]))
            code = EXIT_FATAL
    return code


async def _run(settings: Settings, listeners: Sequence[int]) -> None:
    control = await Control.on_standard_input()
    access = set_up(settings.auth)
    certificates = Certificates(settings.tls) if settings.tls.tls_cert else None
    connections = Connections(derived.connections(settings.server, usable_memory()))
    async with AsyncExitStack() as stack:
        keeping = await _keeping(stack, settings.storage)  # before the engine: it ends after it
        engine = await stack.enter_async_context(Engine(settings, wait_ready=False))
        runtime = Runtime(engine, connections)
        observer = await stack.enter_async_context(observing(settings, runtime, keeping, certificates))
        metrics = observer.metrics
        watcher = Watch(runtime, metrics, engine.workers)
        for tell in (metrics.loop_lag.observe, watcher.on_lag):
            engine.delay.tell(tell)
        upload = settings.upload
        uploads = Uploads(BodyLimits(upload.max_image_bytes, upload.upload_timeout, upload.min_upload_rate))
        open_records = settings.storage.records == "open"
        gate = Gate(access.authenticator, access.limits, metrics.count_auth_refusal)
        proxies = TrustedProxies(settings.server.trusted_proxies)
        share = partial(
            build_app, runtime, gate, observer, uploads, proxies, keeping, open_records=open_records, watch=watcher
        )
        fronts = [Front(share(admin=settings.is_local), listeners[0], connections)]
        if not settings.is_local:  # with connections of its own: clients cannot take those of the operator
            fronts.append(Front(share(admin=True, clients=False), listeners[1], Connections(_ADMIN_CONNECTIONS)))
        stop = partial(_until_stop, control, runtime, uploads, settings.server.shutdown_timeout)
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(work)
                for work in (_announce(engine, settings, listeners), access.run(), watcher.run())
            ]
            if certificates:
                beside.append(tasks.create_task(watch(certificates.paths, certificates.reload)))
            await serve(fronts, settings, certificates, stop)
            for task in beside:
                task.cancel()


async def _keeping(stack: AsyncExitStack, storage: StorageSettings) -> Keeping | None:
    """Where answered images are put, if anywhere. Raises `SpoolFailed`."""
    if not storage.store:
        return None
    spool = Spool(
        storage.spool_folder, storage.spool_bytes, storage.spool_items, durable=storage.store_policy == "required"
    )
    return Keeping(await stack.enter_async_context(spool.running()), storage)


async def _until_stop(control: Control, runtime: Runtime, uploads: Uploads, timeout_s: float) -> None:
    """Wait until it is time to stop listening. Uploads have half of what is left then, answers the rest."""
    await control.wait_stop(runtime.drain)
    uploads.end_within(max(0.0, timeout_s - runtime.draining_s) * _FOR_UPLOADS)


async def _announce(engine: Engine, settings: Settings, listeners: Sequence[int]) -> None:
    model = await engine.wait_ready()
    _spare_the_collector()
    console.say(banner(model, settings, listeners, engine.placement.why, engine.layout))


def _spare_the_collector() -> None:
    """What is here now stays: it need not be looked at again, nor what comes and goes so often as by default."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
