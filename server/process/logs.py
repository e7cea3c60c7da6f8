"""Logs: one JSON object per line on standard error, or readable lines where that is a terminal.

Our events have named values; those of hypercorn and asyncio take the same way. No text of a client gets in but a
request id, which has been checked; and whatever gets in, control characters are escaped, so that nothing can forge a
line. A flood of one event is thinned out, and its next line says how many were left out. The access log takes a way of
its own (server/process/access_log.py).
"""

import logging
import os
import time
from collections.abc import Callable

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from server.process import console
from server.process.printable import printable

_STDERR = 2
_BURST = 20  # lines of one event
_PERIOD_S = 2.0  # in this time


def configure(write: Callable[[bytes], None] | None = None, *, terminal: bool | None = None) -> None:
    """Send everything that this process logs to `write`, by default to standard error, line by line.

    `terminal`: whether people read the lines as they come. Logging never raises and never waits.
    """
    write = write or console.writer(_STDERR).write
    terminal = os.isatty(_STDERR) if terminal is None else terminal
    prepare: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        FloodGate(),
        structlog.processors.format_exc_info,
        escape,
    ]
    render: Processor = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*prepare, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(write)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            foreign_pre_chain=prepare,
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line of its own text for each malformed form
    logging.getLogger("botocore").setLevel(logging.WARNING)  # a line for each client it makes
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # ten lines per second while a server is away
    logging.raiseExceptions = False  # what cannot be logged must not take the service down


def leave_to_host() -> None:
    """Where nobody has configured structlog: hand what is logged to the host program's `logging`, at its levels."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            escape,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class _Handler(logging.Handler):
    """Writes lines. What a library logs meets the flood gate only here, and is not the library's to hear of."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))
        except structlog.DropEvent:  # no Exception, so that it would end the event loop
            pass
        except Exception:  # noqa: BLE001 - a value that cannot be rendered: logging's own rule, silent by `configure`
            self.handleError(record)


class FloodGate:
    """Lets so many lines of one event through in a while, and counts the rest."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}  # event -> (start of its period, lines in it)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        name = str(event.get("event"))[:100]
        now = time.monotonic()
        since, count = self._seen.get(name, (now, 0))
        if now - since >= _PERIOD_S:
            if count > _BURST:
                event["left_out"] = count - _BURST
            since, count = now, 0
        self._keep(name, since, count + 1)
        if count >= _BURST:
            raise structlog.DropEvent
        return event

    def _keep(self, name: str, since: float, count: int) -> None:
        if name not in self._seen and len(self._seen) >= 1000:  # texts of strangers: no place to keep them all
            self._seen.clear()
        self._seen[name] = since, count


def escape(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Control characters as escapes, but for the line breaks of our own tracebacks."""
    return {name: _escaped(name, value) for name, value in event.items()}


def _escaped(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if name == "exception":
        return "\n".join(map(printable, value.split("\n")))
    return printable(value)
