"""Clients that retry at once: what they leave of the answers per second of clients within capacity."""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
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
_FILLING_S, _SECONDS = 2.5, 5.0
_ROUNDS = 3
_HOT, _POLITE = 32, 8
_WITHIN = 26  # clients whose images fit into the SLO: about a third of 40 is refused
_GOAL = 0.95

Connect = Callable[[], Awaitable[Client]]


class Figures(NamedTuple):
    """Answers and refusals per second; answers per second of CPU that the server used, which a busy machine does not
    change much."""

    answers: float
    refused: float
    per_cpu_s: float


class Way(NamedTuple):
    """How clients come to a server. `port`: where they connect. Each has an address of its own behind nginx."""

    server: Server
    port: int
    name: str

    def connect(self, client: int) -> Connect:
        address = f"127.0.1.{client + 1}" if self.name == "nginx" else "127.0.0.1"
        connect: Connect = connecting(self.port, address)
        return connect


def run(job: Job) -> Findings:
    """Two servers, of which one has time for all: clients within capacity ask it; clients that never wait the other.
    They are measured in turn, since machines change."""
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        for share, (http, name) in enumerate(itertools.product(HTTP_SERVERS, WAYS)):
            job.say(f"{http}, {name}", share / (len(HTTP_SERVERS) * len(WAYS)))
            flags = ("--workers", "2", "--http-server", http, *_WORK.serve_flags())
            with ExitStack() as stack:
                at_rest = _served(stack, name, Path(folder), "10s", flags)
                slo_s = _WITHIN / _measure(job, at_rest, _WITHIN, 0).answers
                in_storm = _served(stack, name, Path(folder), f"{slo_s * 1000:.0f}ms", flags)
                rounds = [
                    (_measure(job, at_rest, _WITHIN, 0), _measure(job, in_storm, _POLITE, _HOT)) for _ in range(_ROUNDS)
                ]
            _judge(found, f"{http}, {name}", rounds)
    return found


def _judge(found: Findings, name: str, rounds: list[tuple[Figures, Figures]]) -> None:
    ratio = statistics.median(storm.answers / calm.answers for calm, storm in rounds)
    per_cpu_s = statistics.median(storm.per_cpu_s / calm.per_cpu_s for calm, storm in rounds)
    refused = statistics.median(storm.refused for _, storm in rounds)
    found.figure(f"{name}: refusals in the storm", f"{refused:,.0f}/s")
    found.holds(f"{name}: answers in the storm", f"{ratio:.2f}", f">= {_GOAL}", ratio >= _GOAL)
    found.figure(f"{name}: answers per CPU second in the storm", f"{per_cpu_s:.2f}")
    found.raw[name] = [{"calm": calm._asdict(), "storm": storm._asdict()} for calm, storm in rounds]


def _served(stack: ExitStack, name: str, folder: Path, slo: str, flags: tuple[str, ...]) -> Way:
    """A server, and nginx before it if that is the way."""
    if name != "nginx":
        server = stack.enter_context(serving("--slo", slo, *flags))
        return Way(server, server.port, name)
    front, back, other = free_ports(3)
    proxied = ("--slo", slo, "--port", str(back), "--trusted-proxies", "127.0.0.1", *flags)
    server = stack.enter_context(serving(*proxied))
    (own := folder / slo).mkdir(exist_ok=True)
    stack.enter_context(nginx(own, front, (back, other), repeat=False))
    wait_listening(front)
    return Way(server, front, name)


def _measure(job: Job, way: Way, polite: int, hot: int) -> Figures:
    """Of a window in which the queue is neither filling nor running dry."""
    processes = way.server.tree()
    looks: list[tuple[float, float, Counter[int]]] = []
    counts: Counter[int] = Counter()

    def look() -> None:
        looks.append((time.monotonic(), sum(_cpu_s(process) for process in processes), counts.copy()))

    run_loop(_storm(job, way, (polite, hot), counts, look))
    (began, cpu_s, before), (ended, cpu_s_after, after) = looks
    answers, refused = (after[status] - before[status] for status in (200, 503))
    return Figures(answers / (ended - began), refused / (ended - began), answers / (cpu_s_after - cpu_s))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _storm(job: Job, way: Way, clients: tuple[int, int], counts: Counter[int], look: Callable[[], None]) -> None:
    """So many clients that wait as they are told, and that never do. What they hear is counted; `look` is called at the
    beginning and at the end of the window."""
    image, polite = photo(1), clients[0]

    async def client(number: int) -> None:
        connect = way.connect(number)
        connection = await connect()
        while True:
            try:
                reply = await connection.post(image)
            except (OSError, EOFError):
                connection = await connect()
                continue
            counts[reply.status] += 1
            if number < polite and reply.status == 503:
                await asyncio.sleep(float(reply.headers.get("retry-after", "1")))
            if way.name == "reconnecting":
                await connection.close()
                connection = await connect()

    tasks = [asyncio.create_task(client(n)) for n in range(sum(clients))]
    await asyncio.sleep(_FILLING_S)
    look()
    await asyncio.sleep(job.seconds(_SECONDS))
    look()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
