"""All requests are sampled, at the highest rate here: nginx, two replicas, their workers, a store, an OTLP receiver."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.end_to_end.harness import Server, serving
from tests.faults.fleet import connecting, free_ports, nginx, wait_listening
from tests.observability.collector import Collector, http_collector
from tests.observability.whole_traces import ROOT, STAGES, breaches, parent
from tests.photos import photo
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

_REQUESTS, _LEAST, _CLIENTS = 20_000, 200, 32
_FLAGS = ("--workers", "1", "--slo", "14s", "--cache", "off", "--trace-share", "1")
_PICTURES = [photo(seed) for seed in range(64)]
_LAST_S = 60.0  # for the last images to be stored and sent


def run(job: Job) -> Findings:
    found = Findings()
    count = job.count(_REQUESTS, _LEAST)
    front, *backs = free_ports(3)
    with tempfile.TemporaryDirectory() as name, http_collector() as (collector, url):
        folder = Path(name)
        flags = (*_FLAGS, "--otlp-endpoint", url, "--store")
        with (
            serving(*flags, str(folder / "one"), "--port", str(backs[0])) as one,
            serving(*flags, str(folder / "other"), "--port", str(backs[1])) as other,
            nginx(folder, front, backs),
        ):
            wait_listening(front)
            began = time.monotonic()
            statuses = run_loop(_send(job, front, count))
            took = time.monotonic() - began
            job.say("the last traces", 1.0)
            _await_all(collector, count)
            lost = sum(_lost(server) for server in (one, other))
    # Whoever ends sends what it has left: a trace that came twice is here by now.
    wrong = breaches(collector.traces(), range(1, count + 1))
    found.figure("all sampled", f"{count:,} images at {count / took:,.0f} per second")
    found.none("not answered with 200", sum(status != 200 for status in statuses))
    found.none("traces lost", lost)
    found.none("missing, doubled or orphaned spans", len(wrong))
    found.notes += wrong[:10]
    found.raw |= {"requests": count, "rate": count / took, "spans": len(collector.spans)}
    return found


async def _send(job: Job, front: int, count: int) -> list[int]:
    """So many images by clients that do not pause; the statuses."""
    numbers = iter(range(1, count + 1))
    statuses: list[int] = []

    async def client(left: Iterator[int]) -> None:
        connection = await connecting(front)()
        for number in left:
            reply = await connection.post(_PICTURES[number % len(_PICTURES)], traceparent=parent(number))
            statuses.append(reply.status)
            job.say(f"{number:,} images", number / count)
        await connection.close()

    await asyncio.gather(*(client(numbers) for _ in range(_CLIENTS)))
    return statuses


def _await_all(collector: Collector, count: int) -> None:
    """Return once all spans are there; after a time without, too: they are judged then."""
    members = count * (1 + len(STAGES))
    try:
        collector.wait(lambda _: sum(name != "batch" for name in collector.names()) >= members, _LAST_S)
    except AssertionError:
        assert ROOT in collector.names(), "no trace at all"


def _lost(server: Server) -> int:
    metrics = server.run(server.metrics())
    return round(sum(value for name, value in metrics.items() if name.startswith("tureen_lost_traces_total")))
