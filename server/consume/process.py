"""The consumer process: `python -m server.consume.process [SOCKET]`. It answers what a queue asks for.

With SOCKET it uses the engine that the web process offers there, so that clients and queue share the workers; without,
it has workers of its own. Its standard input is its tie to the supervisor (server/process/control.py).
"""

import server.process.lean  # noqa: F401 - before structlog

# isort: split
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import structlog
import uvloop

from server.cleanup.opening import open_store
from server.cleanup.stores import StoreError
from server.consume.answering import Answering, Places
from server.consume.consumer import Consumer
from server.consume.ledger import STATE, write_state
from server.consume.metrics import serve_metrics
from server.consume.objects import Objects
from server.consume.patience import Patience
from server.engine import Engine, EngineFailed, Intake, RemoteEngine
from server.engine.groups import leaves
from server.process import console, logs, signals
from server.process.control import Control, read_first_line
from server.queues.opening import open_publisher, open_source
from server.queues.source import QueueFailed
from server.settings import Settings

EXIT_FATAL = 3  # starting again would fail again
EXIT_LOST = 1  # the engine or the queue has gone: it will come back
_THREADS = 16
_NICENESS = 10  # beside web: clients come first
_CONNECT_S = 0.1
_STATE_S = 1.0

log = structlog.stdlib.get_logger("tureen.consumer")


def main(argv: list[str]) -> int:
    """Consume until told to drain. Returns 0, `EXIT_LOST` or `EXIT_FATAL`."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    settings = Settings.model_validate_json(read_first_line())
    socket = Path(argv[0]) if argv else None
    code = EXIT_FATAL
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            code = runner.run(_run(settings, socket))
        except* (EngineFailed, QueueFailed, StoreError) as group:
            reason = leaves(group)[0]
            log.error("cannot_consume", reason=str(reason))
            if isinstance(reason, QueueFailed) and reason.reason == "unreachable":
                code = EXIT_LOST
    return code


async def _run(settings: Settings, socket: Path | None) -> int:
    """0, or `EXIT_LOST`. Raises `EngineFailed`, `QueueFailed`, `StoreError`."""
    control = await Control.on_standard_input()
    if socket:
        os.nice(_NICENESS)
    queues, storage = settings.queues, settings.storage
    store = open_store(storage) if storage.store else None
    objects = Objects(store, storage.s3_endpoint, settings.upload.max_image_bytes, _THREADS)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(open_source(queues))
        results = await stack.enter_async_context(open_publisher(queues.results, queues)) if queues.results else None
        engine = await stack.enter_async_context(_engine(settings, socket))
        patience = Patience(_THREADS)
        answering = Answering(engine, objects, Places(store, results), patience, storage.redact)
        consumer = Consumer(source, answering, patience, queues)
        log.info("consuming_from", queue=queues.consume)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(control.wait_stop, consumer.stop)
            tasks.start_soon(_publish_state, socket, settings, consumer)
            if isinstance(engine, RemoteEngine):
                tasks.start_soon(_end_with, engine, patience)
            await consumer.run()
            tasks.cancel_scope.cancel()
    return EXIT_LOST if patience.lost and not consumer.told else 0


@asynccontextmanager
async def _engine(settings: Settings, socket: Path | None) -> AsyncIterator[Intake]:
    """The engine at `socket`, as soon as it is there, or one of this process's own."""
    if socket is None:
        async with Engine(settings) as engine:
            yield engine
        return
    async with AsyncExitStack() as stack:
        yield await _connected(stack, socket)


async def _connected(stack: AsyncExitStack, socket: Path) -> Intake:
    while True:
        try:
            return await stack.enter_async_context(RemoteEngine(socket))
        except OSError:  # web makes the socket, and may be starting
            await anyio.sleep(_CONNECT_S)


async def _end_with(engine: RemoteEngine, patience: Patience) -> None:
    await engine.wait_lost()
    patience.lose_engine()


async def _publish_state(socket: Path | None, settings: Settings, consumer: Consumer) -> None:
    """Beside web, its metrics show the state; else this process has a port for them."""
    if socket is None:
        serve_metrics(settings.server, lambda: consumer.state)
        return
    while True:
        write_state(socket.with_name(STATE), consumer.state)
        await anyio.sleep(_STATE_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
