"""What is not an image gets a small share of the event loop: a flood of it takes little from the images.

Requests wait for their turn; none is refused, and none is answered from an old copy. A few at a time, such as those of
a load balancer and of Prometheus, never wait.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_SHARE = 0.1  # of one core
_BURST_S = 0.1  # of CPU time that may be spent at once
_HTTP_S = 0.0005  # of CPU time per request, beside its handler


class SideShare:
    """A token bucket of CPU time. Its state: when it is full again."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._full_at = float("-inf")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until it is this request's turn, and note what it costs. Cancellation: it no longer waits."""
        await self._wait(_HTTP_S)
        begun = self._clock()
        try:
            yield
        finally:
            self._full_at += (self._clock() - begun) / _SHARE

    async def _wait(self, cost_s: float) -> None:
        now = self._clock()
        self._full_at = max(self._full_at, now) + cost_s / _SHARE
        if (wait_s := self._full_at - now - _BURST_S / _SHARE) > 0:
            await self._sleep(wait_s)
