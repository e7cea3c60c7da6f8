"""The prediction log: one JSON line per answer, for a search engine. Written by a thread: no answer waits for it."""

import os
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from socket import gethostname
from typing import NamedTuple, Protocol

import structlog

from server.settings.sampling_rule import Rule, read_rule
from server.telemetry.ecs import document, model_answer, seen
from server.telemetry.record import RequestRecord
from server.telemetry.rotating_file import RotatingFile

_WAITING = 10_000  # records
_PERIOD_S = 0.25
_FAREWELL_S = 2.0

log = structlog.stdlib.get_logger("tureen.telemetry")


class PredictionFigures(NamedTuple):
    """Lines written, and lines lost, by reason: queue_full, disk (or a reader that has gone)."""

    written: int
    lost: Mapping[str, int]


class Sink(Protocol):
    """Takes whole lines."""

    def write(self, lines: bytes) -> None:
        """Raises `OSError`; blocks."""

    def close(self) -> None:
        """Let go of it."""


class PredictionLog:
    """Bounded: what does not fit is lost and counted.

    The whole state: `_records` (not yet written), `_written`, `_lost`, `_failing`.
    """

    def __init__(self, sink: Sink, rule: Rule, slo_s: float) -> None:
        self._sink = sink
        self._rule = rule
        self._slo_s = slo_s
        self._records: deque[RequestRecord] = deque()
        self._written = 0
        self._lost: Counter[str] = Counter()
        self._failing = False
        self._version, self._node = version("tureen"), gethostname()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self._thread.start()

    def offer(self, record: RequestRecord) -> None:
        """Have this written if the rule says so, or lose it where too much waits. Returns at once; raises nothing."""
        if len(self._records) >= _WAITING:
            self._lost["queue_full"] += 1
        else:
            self._records.append(record)

    def figures(self) -> PredictionFigures:
        """For the metrics."""
        return PredictionFigures(self._written, dict(self._lost))

    def close(self) -> None:
        """Write what is there, for a moment at most."""
        self._ending.set()
        self._thread.join(_FAREWELL_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._ending.wait(_PERIOD_S)
            self._write_all()
        self._write_all()
        self._sink.close()

    def _write_all(self) -> None:
        while self._records:
            wall_ns = time.time_ns() - time.monotonic_ns()
            records = [self._records.popleft() for _ in range(min(200, len(self._records)))]
            lines = [line for record in records if (line := self._line(record, wall_ns))]
            if lines:
                self._write(lines)
            time.sleep(0)  # the event loop's turn

    def _line(self, record: RequestRecord, wall_ns: int) -> bytes | None:
        said = model_answer(record)
        if not self._rule.takes(seen(record, said), random.random(), self._slo_s):
            return None
        return document(record, said, wall_ns, self._version, self._node) + b"\n"

    def _write(self, lines: list[bytes]) -> None:
        try:
            self._sink.write(b"".join(lines))
        except OSError as error:
            self._lost["disk"] += len(lines)
            if not self._failing:
                log.warning("predictions_not_logged", reason=error.strerror or str(error))
            self._failing = True
            return
        self._failing = False
        self._written += len(lines)


class StandardOutput:
    """Standard output, for a container's log driver."""

    def write(self, lines: bytes) -> None:
        """As `Sink.write`."""
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(1, rest) :]

    def close(self) -> None:
        """Nothing: it is everybody's."""


def open_prediction_log(target: str, rule: str, slo_s: float) -> PredictionLog:
    """`target`: a path, or - for standard output."""
    sink: Sink = StandardOutput() if target == "-" else RotatingFile(Path(target))
    return PredictionLog(sink, read_rule(rule), slo_s)
