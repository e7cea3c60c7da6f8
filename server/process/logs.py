"""Logs: one JSON object a line on standard error, or readable lines where that is a terminal.

Ours are events with named values; those of hypercorn and asyncio go the same way. No text of a client gets in but a
request id, which has been checked; and whatever gets in, control characters are escaped, so that nothing can forge a
line. An event that comes in floods is thinned out, and the next line of it says how many were left out.
"""

import logging
import sys
import time
from typing import TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

_BURST = 20  # lines of one event
_PERIOD_S = 2.0  # in this time


def configure(stream: TextIO = sys.stderr) -> None:
    """Send everything that is logged in this process to `stream`. Writing a line never raises."""
    terminal = stream.isatty()
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
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            foreign_pre_chain=prepare,
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line of its own text for each malformed form
    logging.raiseExceptions = False  # a full disk must not take the service down


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


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines. What a library logs meets the flood gate only here, and is not the library's to hear of."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except structlog.DropEvent:  # no Exception, so that it would end the event loop
            pass


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
    return {name: value if name == "exception" else _escaped(value) for name, value in event.items()}


def _escaped(value: object) -> object:
    if not isinstance(value, str) or value.isprintable():
        return value
    return value.encode("unicode_escape").decode("ascii")
