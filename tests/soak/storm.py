"""Clients that retry at once: what they leave of the answers per second of clients within capacity."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.works import WORKS
from tests.end_to_end.harness import Client, serving
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
                rate = run_loop(_answers(job, _served(stack, way, Path(folder), "10s", flags), _WITHIN, 0, way))[0]
            with ExitStack() as stack:
                connect = _served(stack, way, Path(folder), f"{_WITHIN / rate * 1000:.0f}ms", flags)
                stormy, refused = run_loop(_answers(job, connect, _POLITE, _HOT, way))
            found.figure(f"{http}, {way}: refusals in the storm", f"{refused:,.0f}/s")
            ratio = stormy / rate
            found.holds(f"{http}, {way}: answers in the storm", f"{ratio:.2f}", f">= {_GOAL}", ratio >= _GOAL)
            found.raw[f"{http}, {way}"] = {"within_capacity": rate, "in_the_storm": stormy, "refused": refused}
    return found


def _served(stack: ExitStack, way: str, folder: Path, slo: str, flags: tuple[str, ...]) -> Connect:
    """How to connect to a server, or to nginx before it."""
    if way != "nginx":
        server = stack.enter_context(serving("--slo", slo, *flags))
        return connecting(server.port)
    front, back, other = free_ports(3)
    proxied = ("--slo", slo, "--port", str(back), "--trusted-proxies", "127.0.0.1", *flags)
    stack.enter_context(serving(*proxied))
    stack.enter_context(nginx(folder, front, (back, other), repeat=False))
    wait_listening(front)
    return connecting(front)


async def _answers(job: Job, connect: Connect, polite: int, hot: int, way: str) -> tuple[float, float]:
    """Answers and refusals per second of some clients that wait as they are told and some that never do."""
    image, counts = photo(1), {200: 0, 503: 0}
    end = time.monotonic() + job.seconds(_SECONDS) + 1.0

    async def client(waits: bool) -> None:
        connection = await connect()
        while time.monotonic() < end:
            try:
                reply = await connection.post(image)
            except (OSError, EOFError):
                connection = await connect()
                continue
            if time.monotonic() > end - job.seconds(_SECONDS):
                counts[reply.status] = counts.get(reply.status, 0) + 1
            if waits and reply.status == 503:
                await asyncio.sleep(float(reply.headers.get("retry-after", "1")))
            if way == "reconnecting":
                await connection.close()
                connection = await connect()

    await asyncio.gather(*(client(n < polite) for n in range(polite + hot)))
    return counts[200] / job.seconds(_SECONDS), counts[503] / job.seconds(_SECONDS)
