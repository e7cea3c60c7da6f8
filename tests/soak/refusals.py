"""What it costs to say no, in CPU of the process that says it: refused by its head, and refused when it is whole."""

import asyncio
import time
from pathlib import Path

from benchmarks.works import WORKS
from server.commands.bench.fleet import Fleet, Load, Material
from server.commands.bench.stats import summarize
from server.commands.bench.target import parse_url
from tests.end_to_end.harness import Server, serving
from tests.photos import photo
from tests.soak.phase import Findings, Job
from tests.soak.servers import cpu_s
from tests.soak.servers import run as run_loop

HTTP_SERVERS = ("hypercorn", "uvicorn")
_SECONDS = 4.0
_CONNECTIONS = 16
_GOAL_MS = 0.25
_WAITING = 60  # images of 1 to 3 ms each: who comes after them and has 20 ms would be late
_IN_20_MS = {"X-Request-Timeout-Ms": "20"}
_MANY = ("--trusted-proxies", "127.0.0.1")  # one address plays many clients, none of which is to wait for another


def run(job: Job) -> Findings:
    found = Findings()
    pictures = WORKS["tiny"].pictures()  # of about 20 kB
    for share, name in enumerate(HTTP_SERVERS):
        job.say(name, share / len(HTTP_SERVERS))
        flags = ("--workers", "1", "--slo", "60s", "--http-server", name, *_MANY)
        with serving("--max-queue", "1", *flags) as server:
            full = run_loop(_stopped(job, server, pictures, 1, {}))
        with serving("--max-queue", "1000", *flags) as server:
            late = run_loop(_stopped(job, server, pictures, _WAITING, _IN_20_MS))
        for what, raw in (("queue full, body unread", full), ("would be late, body read", late)):
            found.at_most(f"{name}: CPU of a refusal, {what}", raw["cpu_each_s"] * 1e3, _GOAL_MS, "ms", 3)
            found.figure(f"{name}: ... at", f"{raw['rate']:,.0f} refusals/s, p99 {raw['p99_s'] * 1e3:.1f} ms")
            found.figure(f"{name}: ... other answers", f"{raw['others']:,}")
            found.raw[f"{name}, {what}"] = raw
    return found


def _pure(job: Job, server: Server, pictures: list[Path], headers: dict[str, str]) -> dict[str, float]:
    """A load that is refused to the last request."""
    material = Material(
        target=parse_url(f"http://{server.host}:{server.port}"), pictures=pictures, headers=[*headers.items()]
    )
    load = Load(
        connections=_CONNECTIONS,
        duration_s=job.seconds(_SECONDS),
        warmup_s=0.5,
        timeout_s=10.0,
        slo_s=10.0,
        seed=job.seed,
    )
    web, looks = server.web, []

    def look() -> None:
        looks.append((cpu_s(web), time.monotonic()))

    with Fleet(material) as fleet:
        run = fleet.run(load, at_start=look, at_end=look)
    one = summarize(run.rows, load.duration_s, load.slo_s)
    (cpu, began), (cpu_after, ended) = looks
    return {
        "refused": one.refused, "others": one.offered - one.refused, "rate": one.refused / (ended - began),
        "cpu_each_s": (cpu_after - cpu) / max(1, one.refused),
        "p99_s": one.refusal.p99 if one.refusal else float("nan"),
    }  # fmt: skip


async def _stopped(
    job: Job, server: Server, pictures: list[Path], waiting: int, headers: dict[str, str]
) -> dict[str, float]:
    """The same, with the only worker stopped, not for so long that it is taken for hung, and so many in its queue."""
    (worker,) = server.workers
    worker.suspend()
    try:
        clients = []
        while (await server.metrics())["tureen_queue_images"] < waiting:
            clients.append(await server.connect())
            await clients[-1].send("POST", "/v1/images", photo(len(clients)))
        raw = await asyncio.to_thread(_pure, job, server, pictures, headers)
    finally:
        worker.resume()
    for client in clients:
        await client.read()
        await client.close()
    return raw
