"""Refusals to clients that do not wait: their number is limited by making those clients wait for them.

A refusal costs CPU that images need. A client that asks again before its `Retry-After` is over, and is refused again,
gets that refusal late: together, such refusals take no more than a small share of one core. A request that is admitted
is never delayed, nor is the refusal of a client that waited. Each refusal takes its place in time, and the next one
comes after it (the generic cell rate algorithm, in seconds of CPU).

A trusted proxy's connection carries many clients, so each of them is known by the address that the proxy names. Those
that it does not name are told at once.

Whoever waits for a refusal might be admitted meanwhile. So, every 20 ms, admission is asked whether there is room; as
many clients as there is room for are told then, ask again, and are admitted.
"""

import asyncio
import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from itertools import islice
from typing import Final

from server.web.client import TrustedProxies, read_address

EARLY_CPU_S: Final = 0.0005  # what a paced refusal costs before it is parsed, on a slow core
PARSED_CPU_S: Final = 0.0014  # and after
_SHARE: Final = 0.04  # of one core; to look for room takes the rest of 5 %
_BURST_CPU_S: Final = 0.01  # at once, after a while without refusals
_TICK_S: Final = 0.1  # they are told together: those who ask next at about the same time cost a third each
_LONGEST_S: Final = 0.9  # some 100 clients that do not wait: more of them cost more
_LOOK_S: Final = 0.02  # to look costs as much as a refusal
_LEAST_WAIT_S: Final = 0.1  # whoever asks more often than this does not wait, even where less was asked for
_MAX_ADDRESSES: Final = 4096


class Pacing:
    """One web process's. Its whole state: when the next refusal is due, until when which addresses should wait, and who
    waits for a refusal now: a connection each."""

    def __init__(
        self,
        proxies: TrustedProxies,
        room: Callable[[], int],
        observe: Callable[[float], None],
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`room`: for how many requests there is room now. `observe` is told how late each refusal to a client that did
        not wait is to be, in seconds."""
        self._proxies = proxies
        self._room = room
        self._loop = loop
        self._held: dict[object, Callable[[], None]] = {}
        self._looking = False
        self._observe = observe
        self._clock = clock
        self._due = 0.0
        self._waiting: dict[str, float] = {}

    def caller(self, peer: str) -> "Caller":
        """Who opened a connection."""
        return Caller(self, "" if self._proxies.contains(peer) else _key(peer))

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

    def hold(self, who: object, tell: Callable[[], None]) -> None:
        """`who` waits for a refusal: `tell` it if there is room before its time has come."""
        self._held[who] = tell
        if not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_S, self._look)

    def let_go(self, who: object) -> None:
        """It waits no longer; once is enough."""
        self._held.pop(who, None)

    def _look(self) -> None:
        for who in list(islice(self._held, self._room() if self._held else 0)):
            self._held.pop(who)()
        self._looking = bool(self._held)
        if self._looking:
            self._loop.call_later(_LOOK_S, self._look)

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
    """One connection's client, or clients. Its state: until when it was told to wait, if it is one."""

    __slots__ = ("_address", "_pacing", "_until")

    def __init__(self, pacing: Pacing, address: str) -> None:
        """`address`: "" for a trusted proxy."""
        self._pacing = pacing
        self._address = address
        self._until: float | None = None

    async def wait(self, seconds: float) -> None:
        """Wait for so long, or until there is room."""
        told = asyncio.Event()
        self._pacing.hold(told, told.set)
        try:
            async with asyncio.timeout(seconds):
                await told.wait()
        except TimeoutError:
            pass
        finally:
            self._pacing.let_go(told)

    def refused(self, retry_after_s: float, cpu_s: float, client: str) -> float:
        """It is about to be refused: seconds by which it should be told later. `client`: the address that a trusted
        proxy names, "" if it names none."""
        if self._address:
            delay, self._until = self._pacing.delay(self._address, self._until, retry_after_s, cpu_s)
        elif client:
            delay, _ = self._pacing.delay(_key(client), None, retry_after_s, cpu_s)
        else:
            delay = 0.0
        return delay


def _key(peer: str) -> str:
    """An IPv4 address, or the network that an IPv6 client chooses its addresses from."""
    address = read_address(peer)
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else peer
