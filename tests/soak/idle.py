"""Ten thousand connections on which nothing happens, and what they cost those on which something does."""

import asyncio
import os
import resource
import signal
import time
from contextlib import ExitStack

from tests.end_to_end.harness import Client, Server, serving
from tests.photos import photo
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import ask
from tests.soak.servers import run as run_loop

COUNT = 10_000
HTTP_SERVERS = ("hypercorn", "uvicorn")
_SPARE = 200  # descriptors for everything else
_SOURCES = 4  # addresses of 127.0.0.x that the clients come from, so that ports suffice
_AT_ONCE = 100
_PROBE_S, _PROBE_EVERY_S = 6.0, 0.02
_MOST_KB, _MOST_PROBE_MS, _MOST_END_S = 20.0, 5.0, 5.0


def run(job: Job) -> Findings:
    found = Findings()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(job.count(COUNT), hard - _SPARE)
    for share, name in enumerate(HTTP_SERVERS):
        with ExitStack() as stack:
            flags = ("--workers", "1", "--max-connections", "12000", "--keep-alive", "10m", "--http-server", name)
            server = stack.enter_context(serving(*flags))
            raw = run_loop(_measure(job, server, count, share / len(HTTP_SERVERS)))
        found.raw[name] = raw
        _judge(found, name, raw)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found


def _judge(found: Findings, name: str, raw: dict) -> None:
    found.holds(
        f"{name}: idle connections open", f"{raw['open']:,.0f}", f"{raw['count']:,}", raw["open"] >= raw["count"]
    )
    found.at_most(f"{name}: memory of each", raw["bytes_each"] / 1e3, _MOST_KB, "kB")
    found.figure(f"{name}: /healthz before, p50 / p99", _ms(raw["probes_before_s"]))
    found.figure(f"{name}: /healthz meanwhile, p50 / p99", _ms(raw["probes_s"]))
    found.at_most(f"{name}: /healthz meanwhile, p99", quantile(raw["probes_s"], 0.99) * 1e3, _MOST_PROBE_MS, "ms", 2)
    found.figure(f"{name}: an image meanwhile, p50 / p99", _ms(raw["images_s"]))
    found.at_most(f"{name}: from SIGTERM to the end", raw["end_s"], _MOST_END_S, "s", 2)
    found.holds(f"{name}: exit code", str(raw["exit"]), "0", raw["exit"] == 0)


def _ms(seconds: list[float]) -> str:
    return f"{quantile(seconds, 0.5) * 1e3:.1f} / {quantile(seconds, 0.99) * 1e3:.1f} ms"


async def _measure(job: Job, server: Server, count: int, done: float) -> dict:
    client = await _connect(server, 0)
    before_s, _ = await _probe(client, 2.0)
    resident = server.web.memory_info().rss
    idle = await _open(job, server, count, done)
    grown = server.web.memory_info().rss - resident
    now = await server.metrics()
    probes_s, images_s = await _probe(client, job.seconds(_PROBE_S))
    began = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    code = await asyncio.to_thread(server.wait)
    end_s = time.monotonic() - began
    for one in idle:
        one.writer.transport.abort()
    return {
        "count": count, "open": now["tureen_connections"], "bytes_each": grown / count, "end_s": end_s, "exit": code,
        "probes_before_s": before_s, "probes_s": probes_s, "images_s": images_s,
    }  # fmt: skip


async def _open(job: Job, server: Server, count: int, done: float) -> list[Client]:
    """So many connections, each of which has had one answer."""
    idle: list[Client] = []
    while len(idle) < count:
        wave = range(len(idle), min(count, len(idle) + _AT_ONCE))
        clients = await asyncio.gather(*(_connect(server, n) for n in wave))
        await asyncio.gather(*(ask(client, "/healthz") for client in clients))
        idle += clients
        job.say(f"{len(idle):,} connections", done + 0.4 * len(idle) / count)
    return idle


async def _probe(client: Client, seconds: float) -> tuple[list[float], list[float]]:
    """How long GETs and images take, one after the other."""
    body = photo(1)
    health, images = [], []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        health.append(await ask(client, "/healthz"))
        began = time.monotonic()
        assert (await client.post(body)).status == 200
        images.append(time.monotonic() - began)
        await asyncio.sleep(_PROBE_EVERY_S)  # sets the rate
    return health, images


async def _connect(server: Server, number: int) -> Client:
    source = (f"127.0.0.{1 + number % _SOURCES}", 0)
    return Client(*await asyncio.open_connection(server.host, server.port, local_addr=source))
