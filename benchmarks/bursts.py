"""Servers that differ in one setting take turns in bursts, so that what else the machine does meets all of them."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.machine import cpu_s, own_cpu_s
from benchmarks.served import Served
from server.commands.bench.photos import photo

Make = Callable[[], bytes]
"""Gives the next body to send."""

_PICTURE = photo(320, 240, 0)
_numbers = itertools.count()


class Shape(NamedTuple):
    """`requests` per burst, by so many `connections`. `pause`: of a connection, in times of its last request. `path`:
    where to."""

    rounds: int
    requests: int
    pause: float = 0.0
    connections: int = 4
    path: str = "/v1/images"


@dataclass
class Series:
    """Bursts of one server: CPU ms per request of the server and of the client, requests per second, and the seconds
    of each request by burst."""

    cpu_ms: list[float] = field(default_factory=list)
    client_ms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    bursts: list[list[float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second: the median burst's."""
        return statistics.median(self.rates)

    @property
    def whole_ms(self) -> float:
        """CPU ms per request of server and client together: the median burst's."""
        return statistics.median(map(sum, zip(self.cpu_ms, self.client_ms, strict=True)))

    def quantile_ms(self, q: float) -> float:
        """Of all requests."""
        ordered = sorted(itertools.chain.from_iterable(self.bursts))
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1e3


def different() -> bytes:
    """The picture with a comment of its own: no two are equal."""
    return body(next(_numbers))


def body(number: int) -> bytes:
    """The picture with this number in a comment."""
    text = b"%020d" % number
    return _PICTURE[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + _PICTURE[2:]


def take_turns(servers: Mapping[str, tuple[Served, Make]], shape: Shape) -> dict[str, Series]:
    """A burst at each server, round by round, every other round backwards. The first round only warms up."""
    found = {name: Series() for name in servers}
    for number in range(shape.rounds + 1):
        for name in sorted(servers, key=list(servers).index, reverse=bool(number % 2)):
            served, make = servers[name]
            pids = served.pids()
            before, own, began = cpu_s(pids), own_cpu_s(), time.monotonic()
            seconds = asyncio.run(burst(served, shape, make))
            took = time.monotonic() - began
            if number:
                series = found[name]
                series.cpu_ms.append((cpu_s(pids) - before) / shape.requests * 1e3)
                series.client_ms.append((own_cpu_s() - own) / shape.requests * 1e3)
                series.rates.append(shape.requests / took)
                series.bursts.append(seconds)
    return found


def show(title: str, found: Mapping[str, Series]) -> None:
    """Print a table: CPU beside that of the first server in the same round."""
    first = next(iter(found.values()))
    print(f"{title} ({len(first.cpu_ms)} bursts each)", flush=True)
    for name, series in found.items():
        pairs = [own / other - 1 for own, other in zip(series.cpu_ms, first.cpu_ms, strict=True)]
        print(
            f"  {name:20} {statistics.median(series.cpu_ms):7.3f} ms CPU ({statistics.median(pairs):+6.1%} paired)"
            f" {series.rate:8.1f}/s   p50 {series.quantile_ms(0.5):7.2f} ms   p99 {series.quantile_ms(0.99):7.2f} ms",
            flush=True,
        )


async def burst(served: Served, shape: Shape, make: Make) -> list[float]:
    """Seconds of each request."""
    left = iter(range(shape.requests))
    found: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        for _ in left:
            sent = make()
            began = time.perf_counter()
            head = f"POST {shape.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(sent)}\r\n\r\n"
            writer.write(head.encode() + sent)
            reply = await reader.readuntil(b"\r\n\r\n")
            assert reply.startswith(b"HTTP/1.1 200"), reply
            length = int(reply.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            found.append(time.perf_counter() - began)
            await asyncio.sleep(found[-1] * shape.pause)
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(shape.connections):
            tasks.create_task(client())
    return found
