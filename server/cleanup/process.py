"""The clean-up process: `python -m server.cleanup.process`. It carries what is in the spool to the store.

Its standard input is its tie to the supervisor, as for the web process (server/process/control.py). Told to drain, it
ends with what it has under way; what is left in the spool is carried after the next start.
"""

import asyncio
import os
import sqlite3
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import structlog

from server.cleanup.carrier import Carrier, cutoff_id, write_state
from server.cleanup.catching_up import catch_up
from server.cleanup.doorbell import Doorbell
from server.cleanup.index import Index
from server.cleanup.opening import open_store
from server.cleanup.reading import Librarian
from server.cleanup.spool import CLEANUP_BELL, WEB_BELL
from server.cleanup.stores import StoreError
from server.cleanup.tracing import StoreTracing
from server.process import console, logs, signals
from server.process.control import Control, read_first_line
from server.queues.opening import open_publisher
from server.queues.source import Publisher, QueueFailed
from server.settings import Settings
from server.settings.topics import StorageSettings

EXIT_FATAL = 3
_NICENESS = 10  # answers come first
_STATE_S = 0.5
_RETENTION_S = 60.0
_AT_A_TIME = 200

log = structlog.stdlib.get_logger("tureen.cleanup")


def main() -> int:
    """Carry until told to drain. Returns 0, or `EXIT_FATAL` if there can be no spool or store."""
    console.secure_descriptors()
    signals.ignore()
    logs.configure()
    settings = Settings.model_validate_json(read_first_line())
    os.nice(_NICENESS)
    code = 0
    try:
        asyncio.run(_run(settings))
    except* (OSError, QueueFailed, StoreError, sqlite3.Error) as group:
        log.error("cannot_clean_up", reason=str(group.exceptions[0]))
        code = EXIT_FATAL
    return code


async def _run(settings: Settings) -> None:
    control = await Control.on_standard_input()
    async with AsyncExitStack() as stack:
        url = settings.queues.forward
        forward = await stack.enter_async_context(open_publisher(url, settings.queues)) if url else None
        tracing = _tracing(settings.telemetry.otlp_endpoint)
        if tracing:
            stack.callback(tracing.close)
        await _carry(settings.storage, forward, control, tracing)


def _tracing(endpoint: str | None) -> StoreTracing | None:
    if not endpoint:
        return None
    from server.telemetry.opening import open_span_exporter  # its extra may be missing

    return StoreTracing(open_span_exporter(endpoint, "cleanup"))


async def _carry(
    settings: StorageSettings, forward: Publisher | None, control: Control, tracing: StoreTracing | None
) -> None:
    folder = settings.spool_folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings)
    index = Index(folder)
    carrier = Carrier(folder, store, index, forward, tracing)
    bell = Doorbell(folder, CLEANUP_BELL, WEB_BELL)
    loop = asyncio.get_running_loop()

    def on_ring() -> None:
        bell.hear()
        carrier.wake()

    loop.add_reader(bell.fileno(), on_ring)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(carrier.run, bell)
        tasks.start_soon(Librarian(folder, store, carrier).serve)
        tasks.start_soon(_tell_state, folder, carrier)
        tasks.start_soon(catch_up, store, index)
        if settings.retention:
            tasks.start_soon(_retain, settings.retention, index, carrier)
        await control.wait_stop(lambda: None)
        tasks.cancel_scope.cancel()
    loop.remove_reader(bell.fileno())
    bell.close()
    index.close()
    write_state(folder, carrier.state)


async def _tell_state(folder: Path, carrier: Carrier) -> None:
    while True:
        write_state(folder, carrier.state)
        await anyio.sleep(_STATE_S)


async def _retain(retention_s: float, index: Index, carrier: Carrier) -> None:
    """Forget what is older, for as long as this runs."""
    while True:
        try:
            while ids := index.before(cutoff_id(retention_s), _AT_A_TIME):
                for id_ in ids:
                    await carrier.forget(id_)
        except (StoreError, sqlite3.Error) as error:
            log.warning("retention_waits", reason=str(error))
        await anyio.sleep(min(_RETENTION_S, retention_s))


if __name__ == "__main__":
    sys.exit(main())
