"""Refusals to clients that do not wait: their number is limited by making those clients wait for them.

A refusal costs CPU that images need. A client that asks again before its `Retry-After` is over, and is refused again,
gets that refusal late: together, such refusals take no more than a small share of one core. A request that is admitted
is never delayed, nor is the refusal of a client that waited. No list is kept of what waits: each refusal takes its
place in time, and the next one comes after it (the generic cell rate algorithm, in seconds of CPU).
"""

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from server.web.client import TrustedProxies, read_address

EARLY_CPU_S: Final = 0.0005  # what a paced refusal costs before it is parsed, on a slow core
PARSED_CPU_S: Final = 0.0014  # and after
_SHARE: Final = 0.05  # of one core
_BURST_CPU_S: Final = 0.01  # at once, after a while without refusals
_TICK_S: Final = 0.1  # they are told together: those who ask next at about the same time cost a third each
_LONGEST_S: Final = 0.9  # some 100 clients that do not wait: more of them cost more
_LEAST_WAIT_S: Final = 0.1  # whoever asks more often than this does not wait, even where less was asked for
_MAX_ADDRESSES: Final = 4096


class Pacing:
    """One web process's. Its whole state: when the next refusal is due, and until when which addresses should wait."""

    def __init__(
        self, proxies: TrustedProxies, observe: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`observe` is told how late each refusal to a client that did not wait is, in seconds."""
        self._proxies = proxies
        self._observe = observe
        self._clock = clock
        self._due = 0.0
        self._waiting: dict[str, float] = {}

    def caller(self, peer: str) -> "Caller | None":
        """Who opened a connection; None for a trusted proxy, whose connections carry many clients."""
        return None if self._proxies.contains(peer) else Caller(self, _key(peer))

    def delay(self, address: str, told_until: float | None, retry_after_s: float, cpu_s: float) -> tuple[float, float]:
        """Seconds by which a refusal is to be late, and when its client may ask again.

        `told_until`: until when the connection was told to wait; None if it was told nothing yet.
        """
        now = self._clock()
        too_soon = now < (self._waiting.get(address, 0.0) if told_until is None else told_until)
        delay = self._place(now, cpu_s) if too_soon else 0.0
        until = now + delay + max(retry_after_s, _LEAST_WAIT_S)
        self._note(address, until)
        return delay, until

    def _place(self, now: float, cpu_s: float) -> float:
        """How long the next refusal to a client that did not wait has to wait for its turn."""
        due = max(self._due, now - _BURST_CPU_S / _SHARE)
        self._due = min(due + cpu_s / _SHARE, now + _LONGEST_S)
        delay = math.ceil(due / _TICK_S) * _TICK_S - now if due > now else 0.0
        self._observe(delay)
        return delay

    def _note(self, address: str, until: float) -> None:
        self._waiting.pop(address, None)
        self._waiting[address] = until
        if len(self._waiting) > _MAX_ADDRESSES:
            del self._waiting[next(iter(self._waiting))]


class Caller:
    """One connection's client. Its state: until when it was told to wait."""

    __slots__ = ("_address", "_pacing", "_until")

    def __init__(self, pacing: Pacing, address: str) -> None:
        self._pacing = pacing
        self._address = address
        self._until: float | None = None

    def refused(self, retry_after_s: float, cpu_s: float) -> float:
        """It is about to be refused: seconds by which it should be told later."""
        delay, self._until = self._pacing.delay(self._address, self._until, retry_after_s, cpu_s)
        return delay


def _key(peer: str) -> str:
    """An IPv4 address, or the network that an IPv6 client chooses its addresses from."""
    address = read_address(peer)
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else peer
