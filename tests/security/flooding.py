"""One key that floods beside ten that behave: open loops, and what the ten get of what they ask for."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.end_to_end.harness import Client, Server
from tests.security.keys import add_key, bearer

BEHAVED = 10
CLAIMS: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "urgent": {"priority": "u=0"},
    "urgent and short": {"priority": "u=0", "x_request_timeout_ms": "60"},
    "1 ms": {"x_request_timeout_ms": "1"},
}
"""What the flooding key claims, by name."""


class Crowd(NamedTuple):
    """The secrets of all keys."""

    admin: str
    flooder: str
    behaved: Sequence[str]


def make_keys(path) -> Crowd:
    """Make a key file; the flooding key may be urgent."""
    return Crowd(
        add_key(path, "admin", "admin"),
        add_key(path, "flooder", "infer", "urgent"),
        [add_key(path, f"b{number}") for number in range(BEHAVED)],
    )


@dataclass(frozen=True)
class Seen:
    """What came of a flood. Seconds."""

    offered: int
    flood_answered: int
    asked: int
    statuses: Mapping[int, int]
    """Of the answers to the ten."""
    in_time: Sequence[float]
    """How long the answers to the ten took that came within the SLO, in order."""

    @property
    def share(self) -> float:
        """What the ten got in time of what they asked for."""
        return len(self.in_time) / self.asked

    @property
    def p99_s(self) -> float:
        return self.in_time[int(0.99 * len(self.in_time))]

    def __str__(self) -> str:
        return (
            f"flood: {self.offered:,} sent, {self.flood_answered:,} answered; "
            f"others: {len(self.in_time):,} of {self.asked:,} in time, p99 {self.p99_s * 1e3:,.0f} ms, "
            + ", ".join(f"{count:,} x {status}" for status, count in sorted(self.statuses.items()))
        )


async def capacity(server: Server, secret: str, image: bytes, seconds: float, connections: int = 8) -> float:
    """Images per second that so many connections get."""
    loop = asyncio.get_running_loop()
    end, count = loop.time() + seconds, 0

    async def work() -> None:
        nonlocal count
        client = await server.connect()
        while loop.time() < end:
            count += (await client.post(image, **bearer(secret), x_request_timeout_ms="20000")).status == 200

    await asyncio.gather(*(work() for _ in range(connections)))
    return count / seconds


async def flood(
    server: Server, crowd: Crowd, claims: Mapping[str, str], image: bytes, rates: tuple[float, float], seconds: float,
    slo_s: float,
) -> Seen:  # fmt: skip
    """Let one key flood while ten ask steadily. `rates`: of the flood, and of each of the ten, per second."""
    flooding = _OpenLoop(server, crowd.flooder, rates[0], 200, image, claims)
    others = [_OpenLoop(server, secret, rates[1], 20, image, {}) for secret in crowd.behaved]
    await asyncio.gather(*(loop.run(number, seconds) for number, loop in enumerate([flooding, *others])))
    replies = [reply for loop in others for reply in loop.replies]
    return Seen(
        len(flooding.replies) + flooding.skipped,
        sum(status == 200 for status, _ in flooding.replies),
        len(replies) + sum(loop.skipped for loop in others),
        Counter(status for status, _ in replies),
        sorted(took for status, took in replies if status == 200 and took <= slo_s),
    )


class _OpenLoop:
    """Posts at a steady average rate, whatever comes back. `replies`: status and seconds of each."""

    def __init__(
        self, server: Server, secret: str, rate: float, connections: int, image: bytes, claims: Mapping[str, str]
    ) -> None:
        self._server, self._rate, self._connections, self._image = server, rate, connections, image
        self._headers = {**bearer(secret), **claims}
        self.replies: list[tuple[int, float]] = []
        self.skipped = 0
        """For want of a free connection."""

    async def run(self, seed: int, seconds: float) -> None:
        loop, rng = asyncio.get_running_loop(), random.Random(seed)
        free = [await self._server.connect() for _ in range(self._connections)]
        now = loop.time()
        end = now + seconds
        async with asyncio.TaskGroup() as tasks:
            while (now := now + rng.expovariate(self._rate)) < end:
                await asyncio.sleep(max(0.0, now - loop.time()))  # sets the rate
                if free:
                    tasks.create_task(self._post(free))
                else:
                    self.skipped += 1

    async def _post(self, free: list[Client]) -> None:
        client, loop = free.pop(), asyncio.get_running_loop()
        begun = loop.time()
        reply = await client.post(self._image, **self._headers)
        self.replies.append((reply.status, loop.time() - begun))
        free.append(client)
