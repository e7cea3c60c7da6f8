"""Workers that live but do no good: one that hangs is killed, one that has grown is replaced when it is empty.

Deciding is pure (`judge`); the rest only looks at a clock and at /proc.
"""

import asyncio
import time
from dataclasses import dataclass
from enum import Enum

import structlog

from server.fleet.process import WorkerProcess

_PERIOD_S = 1.0
_SHORTEST_S, _TIMES_PREDICTED = 10.0, 20.0  # generous: a worker that gets no CPU is slow, not hung

log = structlog.stdlib.get_logger("tureen.pool")


class Verdict(Enum):
    """What to do about a worker."""

    WELL = "well"
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
    grown_bytes: int
    """Resident memory beyond what it had when it was ready."""


def judge(vitals: Vitals, max_growth: int) -> Verdict:
    """Hung: it has images and has been silent for much longer than any of them should take."""
    if vitals.held and vitals.silent_s > max(_SHORTEST_S, _TIMES_PREDICTED * vitals.predicted_s):
        return Verdict.HUNG
    if vitals.grown_bytes > max_growth:
        return Verdict.BLOATED
    return Verdict.WELL


async def watch(running: WorkerProcess, max_growth: int) -> Verdict:
    """Look once a second until something is wrong; then see to it, and say what it was.

    Cancellation: stops watching.
    """
    resident = running.resident_bytes
    while True:
        await asyncio.sleep(_PERIOD_S)
        worker = running.worker
        vitals = Vitals(
            held=worker.held,
            silent_s=time.monotonic() - worker.heard,
            predicted_s=worker.predicted_s,
            grown_bytes=running.resident_bytes - resident,
        )
        match judge(vitals, max_growth):
            case Verdict.HUNG:
                log.warning("worker_hung", pid=running.pid, silent_s=round(vitals.silent_s, 1), held=vitals.held)
                running.kill()
                return Verdict.HUNG
            case Verdict.BLOATED:
                log.warning("worker_memory_exceeded", pid=running.pid, grown_bytes=vitals.grown_bytes)
                worker.retire()
                return Verdict.BLOATED
