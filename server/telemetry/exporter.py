"""A thread that turns what it is given into spans, and sends them. Whoever gives never waits, and meets no error."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from server.telemetry.spans import Span

_WAITING = 2048  # items
_AT_ONCE = 128  # items per request
_PERIOD_S = 0.5
_TRIES = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_FAREWELL_S = 2.0

log = structlog.stdlib.get_logger("tureen.telemetry")

T = TypeVar("T")


class ExportFailed(Exception):
    """The spans were not taken. `again`: they may be on a second try."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Transport(Protocol):
    """Sends an encoded `ExportTraceServiceRequest`."""

    def send(self, body: bytes) -> None:
        """Raises `ExportFailed`."""

    def close(self) -> None:
        """Hang up."""


class ExporterFigures(NamedTuple):
    """Spans that were taken, and items that were lost, by reason: queue_full, unreachable."""

    exported: int
    lost: Mapping[str, int]


class Exporter(Generic[T]):
    """Bounded: what does not fit is lost and counted.

    The whole state: `_items` (not yet turned into spans), `_exported`, `_lost`, `_ending`.
    """

    def __init__(
        self,
        render: Callable[[Sequence[T]], list[Span]],
        encode: Callable[[Sequence[Span]], bytes],
        transport: Transport,
    ) -> None:
        """`render` turns items into spans; it is called in the thread, also without items, about twice per second."""
        self._render = render
        self._encode = encode
        self._transport = transport
        self._items: deque[T] = deque()
        self._exported = 0
        self._lost: Counter[str] = Counter()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def offer(self, item: T) -> None:
        """Have this sent, or lose it where too much waits. Returns at once; raises nothing."""
        if len(self._items) >= _WAITING:
            self._lost["queue_full"] += 1
        else:
            self._items.append(item)

    def figures(self) -> ExporterFigures:
        """For the metrics."""
        return ExporterFigures(self._exported, dict(self._lost))

    def close(self) -> None:
        """Send what is there, for a moment at most."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_FAREWELL_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._ending.wait(_PERIOD_S)
            self._send_all()
        for _ in range(2):  # a second look, for what waited for the first
            self._send_all()
        self._transport.close()

    def _send_all(self) -> None:
        """CORRECTNESS: at most what was there at the start, or a flood would keep it from ending."""
        for _ in range(len(self._items) // _AT_ONCE + 1):
            items = [self._items.popleft() for _ in range(min(_AT_ONCE, len(self._items)))]
            if spans := self._render(items):
                self._send(self._encode(spans), len(items), len(spans))
            time.sleep(0)  # the event loop's turn

    def _send(self, body: bytes, items: int, spans: int) -> None:
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, _TRIES + 1):
            try:
                self._transport.send(body)
            except ExportFailed as error:
                if attempt == 1:
                    log.warning("traces_not_taken", reason=str(error))
                if not error.again or attempt == _TRIES or self._ending.wait(pause_s):
                    self._lost["unreachable" if error.again else "refused"] += items
                    return
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._exported += spans
                return
