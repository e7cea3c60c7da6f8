"""Clients that retry at once: what they leave of the answers per second of clients within capacity."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.works import WORKS
from tests.end_to_end.harness import Client, Server, serving
from tests.faults.fleet import connecting, free_ports, nginx, wait_listening
from tests.photos import photo
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

HTTP_SERVERS = ("hypercorn", "uvicorn")
WAYS = ("direct", "reconnecting", "nginx")
_WORK = WORKS["resnet50"]
_SECONDS = 8.0
_HOT, _POLITE = 32, 8
_WITHIN = 26  # clients whose images fit into the SLO: about a third of 40 is refused
_GOAL = 0.95

Connect = Callable[[], Awaitable[Client]]


def run(job: Job) -> Findings:
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        for share, (http, way) in enumerate(itertools.product(HTTP_SERVERS, WAYS)):
            job.say(f"{http}, {way}", share / (len(HTTP_SERVERS) * len(WAYS)))
            flags = ("--workers", "2", "--http-server", http, *_WORK.serve_flags())
            with ExitStack() as stack:
                calm = _measure(job, _served(stack, way, Path(folder), "10s", flags), _WITHIN, 0, way)
            with ExitStack() as stack:
                server = _served(stack, way, Path(folder), f"{_WITHIN / calm.answers * 1000:.0f}ms", flags)
                storm = _measure(job, server, _POLITE, _HOT, way)
            name, ratio = f"{http}, {way}", storm.answers / calm.answers
            found.figure(f"{name}: refusals in the storm", f"{storm.refused:,.0f}/s")
            found.holds(f"{name}: answers in the storm", f"{ratio:.2f}", f">= {_GOAL}", ratio >= _GOAL)
            found.figure(f"{name}: answers per CPU second", f"{calm.per_cpu_s:.1f}, {storm.per_cpu_s:.1f} in the storm")
            found.raw[name] = {"calm": calm._asdict(), "storm": storm._asdict()}
    return found


class Figures(NamedTuple):
    """Answers and refusals per second; answers per second of CPU that the server used, which a busy machine does not
    change much."""

    answers: float
    refused: float
    per_cpu_s: float


def _served(stack: ExitStack, way: str, folder: Path, slo: str, flags: tuple[str, ...]) -> tuple[Server, Connect]:
    """A server, and how to connect to it, or to nginx before it."""
    if way != "nginx":
        server = stack.enter_context(serving("--slo", slo, *flags))
        return server, connecting(server.port)
    front, back, other = free_ports(3)
    proxied = ("--slo", slo, "--port", str(back), "--trusted-proxies", "127.0.0.1", *flags)
    server = stack.enter_context(serving(*proxied))
    stack.enter_context(nginx(folder, front, (back, other), repeat=False))
    wait_listening(front)
    return server, connecting(front)


def _measure(job: Job, served: tuple[Server, Connect], polite: int, hot: int, way: str) -> Figures:
    server, connect = served
    processes = server.tree()
    before = sum(_cpu_s(process) for process in processes)
    counts = run_loop(_count(job, connect, polite, hot, way))
    cpu_s = sum(_cpu_s(process) for process in processes) - before
    seconds = job.seconds(_SECONDS)
    return Figures(counts[200] / seconds, counts[503] / seconds, counts[200] / cpu_s)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _count(job: Job, connect: Connect, polite: int, hot: int, way: str) -> Mapping[int, int]:
    """Answers and refusals of some clients that wait as they are told and some that never do."""
    image, counts = photo(1), {200: 0, 503: 0}
    end = time.monotonic() + job.seconds(_SECONDS)

    async def client(waits: bool) -> None:
        connection = await connect()
        while time.monotonic() < end:
            try:
                reply = await connection.post(image)
            except (OSError, EOFError):
                connection = await connect()
                continue
            counts[reply.status] = counts.get(reply.status, 0) + 1
            if waits and reply.status == 503:
                await asyncio.sleep(float(reply.headers.get("retry-after", "1")))
            if way == "reconnecting":
                await connection.close()
                connection = await connect()

    await asyncio.gather(*(client(n < polite) for n in range(polite + hot)))
    return counts
