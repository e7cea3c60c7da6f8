"""Who may read a message now: gRPC collects a whole message before anybody sees its size.

So only as many are read at a time as would fit if all were of the largest size, and no client has more than half.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from server.web.errors import RequestError

_BUSY_S = 1.0


class Reading:
    """Its state: the places, and how many each client has or waits for."""

    def __init__(self, places: int, timeout_s: float) -> None:
        """`timeout_s`: in which a message must be here."""
        self._limiter = anyio.CapacityLimiter(max(1, places))
        self._most = max(1, places // 2)
        self._timeout_s = timeout_s
        self._clients: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for a place and hold it inside. Raises `RequestError`: upload_timeout, and queue_full for a client that
        has too many already. Cancellation: the place is given back."""
        if self._clients[client] >= self._most:
            raise RequestError("queue_full", retry_after_s=_BUSY_S)
        self._clients[client] += 1
        borrower = object()
        try:
            with anyio.fail_after(self._timeout_s):
                async with _place(self._limiter, borrower):
                    yield
        except TimeoutError:
            raise RequestError("upload_timeout") from None
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]


@asynccontextmanager
async def _place(limiter: anyio.CapacityLimiter, borrower: object) -> AsyncIterator[None]:
    await limiter.acquire_on_behalf_of(borrower)
    try:
        yield
    finally:
        limiter.release_on_behalf_of(borrower)
