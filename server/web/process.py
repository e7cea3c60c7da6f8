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

from batcher import Batcher, Policy
from preprocess.limits import Limits
from server import demo
from server.contract.answer import ModelInfo, Reply
from server.contract.task import Upload
from server.contract.wire import Load
from server.fleet.layout.choose import Asked
from server.fleet.layout.placement import Placement, Plan, Wish, decoders, lay_out, settle
from server.fleet.pool import Pool, PoolFailed
from server.process import console, logs, signals
from server.process.control import Control, read_first_line
from server.settings import Settings
from server.web.app import build_app
from server.web.banner import banner
from server.web.body import BodyLimits
from server.web.connections import Connections
from server.web.front import serve
from server.web.lag import LoopLag
from server.web.metrics import Metrics
from server.web.runtime import Promise, Runtime

EXIT_FATAL = 3  # starting again would fail again

log = structlog.stdlib.get_logger("tureen.web")


def main(argv: list[str]) -> int:
    """Serve until told to drain. Returns 0, or `EXIT_FATAL` if serving is impossible."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    listener = int(argv[0])
    os.set_inheritable(listener, False)  # a worker that held it too would keep the port open after this closed it
    settings = Settings.model_validate_json(read_first_line())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings, listener))
        except BaseExceptionGroup as group:
            failed, rest = group.split(PoolFailed)
            if rest or not failed:
                raise
            log.error("cannot_serve", reason=str(_innermost(failed)))
            return EXIT_FATAL
    return 0


async def _run(settings: Settings, listener: int) -> None:
    control = await Control.on_standard_input()
    policy = Policy(
        max_batch=settings.max_batch,
        slo_s=settings.slo,
        max_queue=settings.max_queue,
        max_queue_bytes=settings.max_queue_bytes,
    )
    place = await settle(settings.provider, settings.device)
    model = settings.model or demo.FOLDER
    asked = Asked(settings.workers, settings.threads)
    wish = Wish(asked, model, settings.profile_folder, settings.slo, settings.max_batch)
    plan = await lay_out(wish, place)
    load = load_for(settings, place, plan)
    connections = Connections(settings.max_connections)
    batcher: Batcher[Upload, Reply]
    async with Batcher(policy=policy) as batcher, Pool(batcher, load, plan, settings.max_worker_growth) as pool:
        promise = Promise(settings.slo, Limits(max_pixels=settings.max_pixels))
        runtime = Runtime(promise, batcher, pool, connections)
        metrics = Metrics(runtime)
        body = BodyLimits(settings.max_image_bytes, settings.upload_timeout, settings.min_upload_rate)
        app = build_app(runtime, metrics, body, settings.access_log)
        async with asyncio.TaskGroup() as tasks:
            lag = tasks.create_task(LoopLag().watch(metrics.loop_lag.observe, batcher.allow_for_lag))
            hello = tasks.create_task(_announce(pool, settings, place, listener))
            await serve(app, settings, listener, connections, partial(control.wait_stop, runtime.drain))
            lag.cancel()
            hello.cancel()
        await batcher.drain()


def load_for(settings: Settings, place: Placement, plan: Plan) -> Load:
    """What each worker is told to serve."""
    return Load(
        model=str(settings.model or demo.FOLDER),
        max_batch=settings.max_batch,
        max_pixels=settings.max_pixels,
        provider=place.provider,
        device=place.device,
        decoders=decoders(plan.workers),
        cuda_graphs=settings.cuda_graphs and place.provider == "cuda",
        gpu_memory_limit=settings.gpu_memory_limit or 0,
        precision=settings.precision if place.provider == "cuda" else "model",  # CPUs only lose by float16
    )


async def _announce(pool: Pool, settings: Settings, place: Placement, listener: int) -> None:
    model: ModelInfo = await asyncio.shield(pool.model)
    _spare_the_collector()
    console.say(banner(model, settings, listener, place.why, pool.decision.result()))


def _spare_the_collector() -> None:
    """What is here now stays: it need not be looked at again, nor what comes and goes so often as by default."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
