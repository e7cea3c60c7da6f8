"""What cache and store cost per request, and what repeats save: `python -m benchmarks.reuse_cost`.

Servers that differ in one setting take turns in short bursts, so that what else the machine does meets all of them.
CPU is that of all processes of a server, in ms per request. Every upload differs from all others, unless it repeats.
"""

import argparse
import asyncio
import itertools
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import cpu_s
from benchmarks.served import Served, free_port, serving, tureen
from server.commands.bench.photos import photo

_PICTURE = photo(320, 240, 0)
_LAYOUT = ("--workers", "1", "--threads", "1")
_CONNECTIONS = 4
_REPEATED = 50  # bodies that repeats are taken from
_AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}

_numbers = itertools.count()


@dataclass
class Series:
    """Bursts of one server: CPU ms per request, requests per second, and seconds of each request."""

    cpu_ms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def quantile_ms(self, q: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1e3


def main() -> None:
    """Print two tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reuse_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=200, help="per burst")
    parser.add_argument("--part", choices=("cost", "repeats"), help="only this table")
    parser.add_argument("--only", nargs="*", default=[], help="of the servers, beside that without a cache")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flags = {
            "no cache": ("--cache", "off"),
            "cache in memory": (),
            **({"cache in Redis": ("--cache", stack.enter_context(_redis(folder)))} if _has_redis() else {}),
            "store in a folder": ("--cache", "off", "--store", str(folder / "store")),
            "store, S3 away": (
                "--cache", "off", "--store", "s3://photos/x", "--s3-endpoint", f"http://127.0.0.1:{free_port()}",
                "--spool-dir", str(folder / "spool"),
            ),
        }  # fmt: skip
        if given.part == "repeats":
            given.only = ["cache in memory"]
        flags = {name: words for name, words in flags.items() if not given.only or name in ("no cache", *given.only)}
        servers = {
            name: stack.enter_context(serving(tureen([*_LAYOUT, *words]), environ=_AWS))
            for name, words in flags.items()
        }
        if given.part != "repeats":
            _costs(servers, given)
        if given.part != "cost" and "cache in memory" in servers:
            _repeats(servers["cache in memory"], given)


def _costs(servers: dict[str, Served], given: argparse.Namespace) -> None:
    found = _take_turns(servers, given.rounds, given.requests, lambda: _body(next(_numbers)), pause=1.0)
    _show("all different, at half of capacity", found)


def _repeats(server: Served, given: argparse.Namespace) -> None:
    memory = {f"{share:.0%} repeats": server for share in (0.0, 0.5, 1.0)}
    shares = iter((0.0, 0.5, 1.0) * given.rounds)
    repeats = _take_turns(memory, given.rounds, given.requests, lambda: b"", pause=0.0, share=shares)
    _show("cache in memory, at capacity", repeats)


def _take_turns(
    servers: dict[str, Served],
    rounds: int,
    requests: int,
    body: Callable[[], bytes],
    *,
    pause: float,
    share: Iterator[float] | None = None,
) -> dict[str, Series]:
    """`pause`: between the requests of a connection, in times of the last one. `share`: of repeats, burst by burst."""
    found = {name: Series() for name in servers}
    for number in range(rounds + 1):
        for name, served in servers.items():
            if share:
                repeated = 0.0 if number == 0 else next(share)
                make = _mixed(repeated)
            else:
                make = body
            pids = served.pids()
            before, began = cpu_s(pids), time.monotonic()
            seconds = asyncio.run(burst(served, requests, make, pause))
            used, took = cpu_s(pids) - before, time.monotonic() - began
            if number:  # the first one warms up
                found[name].cpu_ms.append(used / requests * 1e3)
                found[name].rates.append(requests / took)
                found[name].seconds += seconds
    return found


def _mixed(share: float) -> Callable[[], bytes]:
    """Bodies of which a share repeats; which ones is the same each time."""
    turns = itertools.count(1)

    def make() -> bytes:
        turn = next(turns)
        repeats = int(turn * share) > int((turn - 1) * share)
        return _body(-1 - turn % _REPEATED) if repeats else _body(next(_numbers))

    return make


async def burst(served: Served, requests: int, make: Callable[[], bytes], pause: float) -> list[float]:
    """Seconds of each request."""
    left = iter(range(requests))
    found: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        for _ in left:
            body = make()
            began = time.perf_counter()
            writer.write(b"POST /v1/images HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            found.append(time.perf_counter() - began)
            await asyncio.sleep(found[-1] * pause)
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_CONNECTIONS):
            tasks.create_task(client())
    return found


def _body(number: int) -> bytes:
    """The picture with a comment of its own."""
    text = b"%020d" % number
    return _PICTURE[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + _PICTURE[2:]


def _show(title: str, found: dict[str, Series]) -> None:
    first = next(iter(found.values()))
    print(f"{title} ({len(first.cpu_ms)} bursts each)", flush=True)
    for name, series in found.items():
        pairs = [own / other - 1 for own, other in zip(series.cpu_ms, first.cpu_ms, strict=True)]
        print(
            f"  {name:20} {statistics.median(series.cpu_ms):7.3f} ms CPU ({statistics.median(pairs):+6.1%} paired)"
            f" {statistics.median(series.rates):8.1f}/s   p50 {series.quantile_ms(0.5):7.2f} ms"
            f"   p99 {series.quantile_ms(0.99):7.2f} ms"
        )


def _has_redis() -> bool:
    return shutil.which("redis-server") is not None


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
