"""How late the event loop is: the first thing to look at when every latency grows at once, and a debt to clients.

While the loop is behind, bytes wait unread and answers wait unsent. A clock that starts when the loop reads sees
neither, so what is promised from the last byte on has to be cut by as much: `allowance_s`.
"""

import asyncio
from collections.abc import Callable

_PERIOD_S = 0.1
_KEPT = 0.7  # of an allowance, a period later: halved in about 0.2 s
_READ_AND_SENT = 2  # a request waits for the loop twice


class LoopDelay:
    """Its state: the allowance, who is told, and whether the next lateness is forgiven."""

    def __init__(self) -> None:
        self.allowance_s = 0.0
        """Seconds that a request may lose to the loop without being noticed: the worst of the last few moments."""
        self._observers: list[Callable[[float], None]] = []
        self._forgiven = False

    def tell(self, observer: Callable[[float], None]) -> None:
        """Call `observer` with the seconds by which a timer was late, 10 times per second."""
        self._observers.append(observer)

    def forgive(self) -> None:
        """The loop stood still while nobody waited: the period under way does not count."""
        self._forgiven = True

    async def watch(self, allow: Callable[[float], None]) -> None:
        """Tell the observers how late a timer was, and `allow` what to allow for. Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _PERIOD_S
            await asyncio.sleep(_PERIOD_S)
            late_s = max(0.0, loop.time() - due)
            self.note(late_s)
            for observe in self._observers:
                observe(late_s)
            allow(self.allowance_s)

    def note(self, late_s: float) -> None:
        """A timer was so many seconds late."""
        if self._forgiven:
            self._forgiven, late_s = False, 0.0
        self.allowance_s = max(_READ_AND_SENT * late_s, self.allowance_s * _KEPT)
