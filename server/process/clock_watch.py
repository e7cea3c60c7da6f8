"""Notices that the wall clock was set: ids, records and cached answers have times by it. Deadlines never do."""

import asyncio
from collections.abc import Callable

import structlog

_PERIOD_S = 1.0
_STEP_S = 0.5  # NTP slews less than that between two looks

log = structlog.stdlib.get_logger("tureen.clock")


class ClockWatch:
    """Its state: how often the clock was set, and how far it was from the monotonic one at the last look."""

    def __init__(self, wall_s: Callable[[], float], monotonic_s: Callable[[], float]) -> None:
        """`wall_s`: seconds since 1970."""
        self.steps = 0
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._apart_s = wall_s() - monotonic_s()

    def look(self) -> float:
        """Seconds by which the clock was set since the last look; 0 if it was not."""
        before, self._apart_s = self._apart_s, self._wall_s() - self._monotonic_s()
        by_s = self._apart_s - before
        if abs(by_s) < _STEP_S:
            return 0.0
        self.steps += 1
        return by_s

    async def run(self) -> None:
        """Look every second, until cancelled; each step is a line in the log."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            if by_s := self.look():
                log.warning("clock_set", by_s=round(by_s, 3))
