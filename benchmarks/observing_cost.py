"""What it costs to be seen: `python -m benchmarks.observing_cost`. Needs the extra `otel`.

Traces: servers that differ in one setting take turns in bursts, on the tiny model. CPU is that of the web process, in
microseconds per request; what it does between its bursts counts, since spans are made and sent there.

Watchers: one server, watched by ten clients and by none in turn. CPU is that of its web process, in percent of a core.
"""

import argparse
import asyncio
import signal
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from benchmarks.bursts import Shape, burst
from benchmarks.served import Served, serving, tureen
from benchmarks.works import WORKS

_WORK = WORKS["tiny"]
_FLAGS = ("--workers", "1", "--threads", "1", "--cache", "off", "--slo", "10s", *_WORK.serve_flags())
_SHARES = {"traced, none sampled": "0", "1 % sampled": "0.01", "all sampled": "1"}
_WATCHERS, _LOOK_S = 10, 3.0


def main() -> None:
    """Print two tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observing_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=500, help="per burst")
    given = parser.parse_args()
    with ExitStack() as stack:
        endpoint = stack.enter_context(collector())
        flags = {"not traced": ()} | {
            name: ("--otlp-endpoint", endpoint, "--trace-share", share) for name, share in _SHARES.items()
        }
        servers = {name: stack.enter_context(serving(tureen([*_FLAGS, *words]))) for name, words in flags.items()}
        _show_traces(_take_turns(servers, given.rounds, given.requests))
        _show_watchers(*_watched(servers["not traced"], given.rounds))


def _take_turns(servers: dict[str, Served], rounds: int, requests: int) -> dict[str, list[float]]:
    """Microseconds of CPU per request of each server, by round: from the start of a burst to that of its next one."""
    picture = _WORK.pictures()[0].read_bytes()
    starts: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds + 2):  # the first one warms up, and the last one only ends the one before
        for name, served in servers.items():
            starts[name].append(web_cpu_s(served))
            asyncio.run(burst(served, Shape(rounds, requests), lambda: picture))
    return {
        name: [(after - before) / requests * 1e6 for before, after in pairwise(found[1:])]
        for name, found in starts.items()
    }


def web_cpu_s(served: Served) -> float:
    """CPU seconds of all threads of the web process so far, by the scheduler's own clock: finer than ticks."""
    (web,) = (pid for pid in served.pids() if "server.web.process" in psutil.Process(pid).cmdline())
    threads = Path(f"/proc/{web}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def _watched(served: Served, rounds: int) -> tuple[list[float], list[float]]:
    """Percent of a core without and with watchers, round by round."""
    alone, watched = [], []
    for _ in range(max(2, rounds // 3)):
        alone.append(_used(served))
        with watchers(served, _WATCHERS):
            watched.append(_used(served))
    return alone, watched


def _used(served: Served) -> float:
    before = web_cpu_s(served)
    time.sleep(_LOOK_S)
    return (web_cpu_s(served) - before) / _LOOK_S * 100


@contextmanager
def watchers(served: Served, count: int) -> Iterator[None]:
    """So many clients that read /watch/events, each having had its history."""
    stop, ready = threading.Event(), threading.Event()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(b"GET /watch/events HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"event: history")
        while not stop.is_set():
            await reader.readuntil(b"\n\n")
        writer.close()

    async def all_() -> None:
        tasks = [asyncio.create_task(one()) for _ in range(count)]
        await asyncio.sleep(1.0)  # their first events
        ready.set()
        await asyncio.gather(*tasks)

    thread = threading.Thread(target=lambda: asyncio.run(all_()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class _Taker(BaseHTTPRequestHandler):
    """Takes whatever it gets: as cheap as a collector can be."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector() -> Iterator[str]:
    """The URL of a collector in a process of its own."""
    here, there = Pipe()
    process = Process(target=_collect, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _collect(said: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taker) as server:
        said.send(server.server_port)
        server.serve_forever()


def _show_traces(found: dict[str, list[float]]) -> None:
    first = next(iter(found.values()))
    print(f"CPU of the web process per request, {len(first)} rounds")
    for name, values in found.items():
        pairs = [own / other - 1 for own, other in zip(values, first, strict=True)]
        low, _, high = statistics.quantiles(pairs, n=4)
        print(
            f"  {name:22} {statistics.median(values):7.1f} us   {statistics.median(pairs):+6.1%}"
            f"   (quartiles {low:+.1%} to {high:+.1%})"
        )


def _show_watchers(alone: list[float], watched: list[float]) -> None:
    pairs = [own - other for own, other in zip(watched, alone, strict=True)]
    print(f"{_WATCHERS} watchers: {statistics.median(pairs):.2f} % of a core (idle {statistics.median(alone):.2f} %)")


if __name__ == "__main__":
    main()
