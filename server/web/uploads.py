"""The uploads under way in one process, so that they can be ended together."""

import asyncio
import math
from dataclasses import dataclass
from typing import Protocol

FOR_UPLOADS = 0.5
"""Of the time in which a server that is told to end must have ended."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how slow."""

    max_bytes: int
    timeout_s: float
    """Seconds in which the whole of it must arrive."""
    min_rate: float
    """Bytes a second that it must bring on average, once its first few seconds are over."""


class Timed(Protocol):
    """A body that is being read."""

    def look_at_clock(self) -> None:
        """Its time limit may have changed."""


class Uploads:
    """What all bodies keep to. Its state: `_reading`, the bodies that are waited for, and `until`."""

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        self.until = math.inf
        """When the last of them must be whole, in seconds of the event loop's clock."""
        self._reading: set[Timed] = set()

    def begin(self, body: Timed) -> None:
        """More of this body is waited for."""
        self._reading.add(body)

    def end(self, body: Timed) -> None:
        """It is whole, or given up; once is enough."""
        self._reading.discard(body)

    def end_within(self, seconds: float) -> None:
        """Give up what is not whole by then: whoever drains the process has no more time. A client that sends byte by
        byte must not decide when, or with what exit code, a server ends."""
        self.until = asyncio.get_running_loop().time() + seconds
        for body in list(self._reading):
            body.look_at_clock()
