"""A deadline that moves with each request and costs a timer only now and then."""

import asyncio
import math
from collections.abc import Callable

_RESOLUTION_S = 0.002  # uvloop's timers strike up to a millisecond early: to set them anew for that would spin


class Timer:
    """Calls `on_due` once, when the deadline set last has passed.

    Moving a deadline later, or lifting it, leaves the loop's timer alone: when that strikes too early it is set anew.
    """

    __slots__ = ("_due", "_handle", "_loop", "_on_due", "_strikes")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[], None]) -> None:
        self._loop = loop
        self._on_due = on_due
        self._due = math.inf
        self._strikes = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float | None) -> None:
        """Set the deadline, in seconds from now; None: no deadline."""
        if seconds is None:
            self._due = math.inf
            return
        self._due = self._loop.time() + seconds
        if self._due < self._strikes:
            self._arm()

    def cancel(self) -> None:
        """For good. What was to be called is let go of."""
        self._on_due = _nothing
        self._due = self._strikes = math.inf
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle:
            self._handle.cancel()
        self._strikes = self._due
        self._handle = self._loop.call_at(self._due, self._strike)

    def _strike(self) -> None:
        self._handle, self._strikes = None, math.inf
        if self._due == math.inf:
            return
        if self._loop.time() < self._due - _RESOLUTION_S:
            self._arm()
        else:
            self._due = math.inf
            self._on_due()


def _nothing() -> None: ...
