"""The web process: `python -m server.web.process FD`, where FD is the listening socket it inherits.

Its standard input is its tie to the supervisor: one line of settings, then nothing until it is told to drain
(server/process/control.py). Signals of a terminal go to the whole process group; this process leaves them to the
supervisor.
"""

import asyncio
import gc
import os
import sys
from functools import partial

import structlog
import uvloop

from server.engine import Engine, EngineFailed
from server.engine.groups import leaves
from server.process import console, logs, signals
from server.process.access_log import AccessLog
from server.process.control import Control, read_first_line
from server.process.memory import usable_memory
from server.settings import Settings, derived
from server.web.app import build_app
from server.web.banner import banner
from server.web.client import TrustedProxies
from server.web.front import serve
from server.web.http.connections import Connections
from server.web.http.versions import WrongVersion
from server.web.metrics import Metrics
from server.web.runtime import Runtime
from server.web.uploads import BodyLimits, Uploads

EXIT_FATAL = 3  # starting again would fail again
_FOR_UPLOADS = 0.5  # of the time in which everything must have ended

log = structlog.stdlib.get_logger("tureen.web")


def main(argv: list[str]) -> int:
    """Serve until told to drain. Returns 0, or `EXIT_FATAL` if serving is impossible."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    listener = int(argv[0])
    os.set_inheritable(listener, False)  # a worker that held it too would keep the port open after this closed it
    settings = Settings.model_validate_json(read_first_line())
    code = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, listener))
        except* (EngineFailed, WrongVersion) as group:
            log.error("cannot_serve", reason=str(leaves(group)[0]))
            code = EXIT_FATAL
    return code


async def _run(settings: Settings, listener: int) -> None:
    control = await Control.on_standard_input()
    connections = Connections(derived.connections(settings.server, usable_memory()))
    async with Engine(settings, wait_ready=False) as engine:
        runtime = Runtime(engine, connections)
        metrics = Metrics(runtime)
        engine.delay.tell(metrics.loop_lag.observe)
        upload = settings.upload
        uploads = Uploads(BodyLimits(upload.max_image_bytes, upload.upload_timeout, upload.min_upload_rate))
        proxies = TrustedProxies(settings.server.trusted_proxies)
        app = build_app(runtime, metrics, uploads, proxies, AccessLog(settings.server.access_log))
        stop = partial(_until_stop, control, runtime, uploads, settings.server.shutdown_timeout)
        async with asyncio.TaskGroup() as tasks:
            announcing = tasks.create_task(_announce(engine, settings, listener))
            await serve(app, settings, listener, connections, stop)
            announcing.cancel()


async def _until_stop(control: Control, runtime: Runtime, uploads: Uploads, timeout_s: float) -> None:
    """Wait until it is time to stop listening. Uploads have half of what is left then, answers the rest."""
    await control.wait_stop(runtime.drain)
    uploads.end_within(max(0.0, timeout_s - runtime.draining_s) * _FOR_UPLOADS)


async def _announce(engine: Engine, settings: Settings, listener: int) -> None:
    model = await engine.wait_ready()
    _spare_the_collector()
    console.say(banner(model, settings, listener, engine.placement.why, engine.layout))


def _spare_the_collector() -> None:
    """What is here now stays: it need not be looked at again, nor what comes and goes so often as by default."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
