"""How late the event loop is: the first thing to look at when every latency grows at once, and a debt to clients.

While the loop is behind, bytes wait unread and answers wait unsent. Neither is seen by a clock that starts when the
loop reads, so what is promised from the last byte on has to be cut by as much: `allowance_s`.
"""

import asyncio
from collections.abc import Callable

_PERIOD_S = 0.1
_KEPT = 0.7  # of an allowance, a period later: halved in about 0.2 s
_READ_AND_SENT = 2  # a request waits for the loop twice


class LoopLag:
    """Its only state: the allowance."""

    def __init__(self) -> None:
        self.allowance_s = 0.0
        """Seconds that a request may lose to the loop without being seen to: the worst of the last few moments."""

    async def watch(self, observe: Callable[[float], None], allow: Callable[[float], None]) -> None:
        """Tell, 10 times a second, by how many seconds a timer was late, and what to allow for. Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _PERIOD_S
            await asyncio.sleep(_PERIOD_S)
            self.note(loop.time() - due)
            observe(max(0.0, loop.time() - due))
            allow(self.allowance_s)

    def note(self, late_s: float) -> None:
        """A timer was so many seconds late."""
        self.allowance_s = max(_READ_AND_SENT * late_s, self.allowance_s * _KEPT)
