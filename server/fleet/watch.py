"""Workers that live but do no good: one that is silent gets nothing more, one that hangs is killed, one that has grown
is replaced when it is empty.

Deciding is pure (`judge`, `Silence`); the rest only looks at a clock and at /proc.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import structlog

from server.fleet.process import WorkerProcess

_PERIOD_S = 0.1
_MOST_COUNTED_S = 0.2  # of the time between two looks
_MEMORY_EVERY = 10  # looks
_DOUBT_S, _TIMES_LATE = 0.3, 3.0  # doubting a worker that is only slow costs little: it goes on as soon as it is heard
_SHORTEST_S, _TIMES_PREDICTED = 10.0, 20.0  # generous: a worker that gets no CPU is slow, not hung

log = structlog.stdlib.get_logger("tureen.pool")


class Verdict(Enum):
    """What to do about a worker."""

    WELL = "well"
    SILENT = "silent"
    HUNG = "hang"
    BLOATED = "memory"


@dataclass(frozen=True, slots=True)
class Vitals:
    """What can be seen of a worker from outside."""

    held: int
    """Images it has."""
    silent_s: float
    """Seconds since it last said anything, or was last given something when it had nothing."""
    predicted_s: float
    """Seconds that the slowest thing it may be doing should take."""
    next_word_s: float
    """Seconds in which it should say something."""
    grown_bytes: int
    """Resident memory beyond what it had when it was ready."""


def judge(vitals: Vitals, max_growth: int) -> Verdict:
    """Hung: it has images and has been silent for much longer than any of them should take. Silent: for longer."""
    if vitals.held and vitals.silent_s > max(_SHORTEST_S, _TIMES_PREDICTED * vitals.predicted_s):
        return Verdict.HUNG
    if vitals.grown_bytes > max_growth:
        return Verdict.BLOATED
    if vitals.held and vitals.silent_s > max(_DOUBT_S, _TIMES_LATE * vitals.next_word_s):
        return Verdict.SILENT
    return Verdict.WELL


class Silence:
    """Measures how long a worker has said nothing while this process could have heard it. Times in seconds.

    A process that was stopped, or whose event loop stood still, finds messages waiting when it goes on: the worker was
    not silent. So of a gap between two looks only as much counts as looks are apart at most.
    """

    def __init__(self, now: float, heard: float) -> None:
        self._looked = now
        self._heard = heard
        self._silent_s = 0.0

    def look(self, now: float, heard: float) -> float:
        """The silence until `now` of a worker that was last heard at `heard`."""
        counted_s = min(now - self._looked, _MOST_COUNTED_S)
        self._silent_s = min(now - heard, counted_s + (self._silent_s if heard == self._heard else 0.0))
        self._looked, self._heard = now, heard
        return self._silent_s


class Watch:
    """Looks at one worker ten times a second, and sees to what is wrong with it."""

    def __init__(self, running: WorkerProcess, max_growth: int, on_retired: Callable[[], None]) -> None:
        """`on_retired` is called when it is told to end."""
        self.verdict = Verdict.WELL
        """Why it is to be replaced, if it is."""
        self._running = running
        self._max_growth = max_growth
        self._on_retired = on_retired
        self._resident = running.resident_bytes
        self._grown = self._looks = 0
        self._silence = Silence(time.monotonic(), running.worker.heard)

    async def run(self) -> None:
        """Look until the worker is killed. One that is to be replaced may hang before it is empty, and is killed then.

        Cancellation: stops watching.
        """
        while self.verdict is not Verdict.HUNG:
            await asyncio.sleep(_PERIOD_S)
            vitals = self._look()
            match judge(vitals, self._max_growth):
                case Verdict.HUNG:
                    self.verdict = Verdict.HUNG
                    silent_s = round(vitals.silent_s, 1)
                    log.warning("worker_hung", pid=self._running.pid, silent_s=silent_s, held=vitals.held)
                    self._running.kill()
                case Verdict.BLOATED if self.verdict is Verdict.WELL:
                    self.verdict = Verdict.BLOATED
                    log.warning("worker_memory_exceeded", pid=self._running.pid, grown_bytes=vitals.grown_bytes)
                    self._on_retired()
                    self._running.worker.retire()
                case Verdict.SILENT:
                    if taken := self._running.worker.doubt():
                        log.warning("worker_silent", pid=self._running.pid, held=vitals.held, taken_back=taken)

    def _look(self) -> Vitals:
        worker = self._running.worker
        if self._looks % _MEMORY_EVERY == 0:
            self._grown = self._running.resident_bytes - self._resident
        self._looks += 1
        return Vitals(
            held=worker.held,
            silent_s=self._silence.look(time.monotonic(), worker.heard),
            predicted_s=worker.predicted_s,
            next_word_s=worker.next_word_s,
            grown_bytes=self._grown,
        )
