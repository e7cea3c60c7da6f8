"""Two models on the same cores, a heavy one and a light one, in bursts: each keeps its share, and no core idles."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests import models
from tests.end_to_end.harness import Server, serving
from tests.photos import photo
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

_ALONE_S, _TOGETHER_S, _BURST_S = 8.0, 16.0, 2.0
_CLIENTS = 24  # per model: more than its share can serve
_SHARE = 0.5
_KEPT = 0.95
_SLO = {"heavy": 2.0, "light": 1.0}


@dataclass
class Goodput:
    """Images answered in time, and the seconds in which they were asked for."""

    answered: int = 0
    late: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def run(job: Job) -> Findings:
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        for name, hidden in (("heavy", (3000, 3000)), ("light", (64,))):
            models.dense(Path(folder) / name / "1" / "model.onnx", size=64, hidden=hidden)
            (Path(folder) / name / "model.toml").write_text(f'slo = "{_SLO[name]:g}s"\n')
        with serving("--models", folder) as server:
            run_loop(_measured(job, server, found))
    return found


async def _measured(job: Job, server: Server, found: Findings) -> None:
    alone = {}
    for number, name in enumerate(_SLO):
        job.say(f"{name} alone", 0.25 * number)
        alone[name] = await _offered(server, name, job.seconds(_ALONE_S))
    job.say("both at once", 0.5)
    cpu_s, begun = _worker_cpu_s(server), time.monotonic()
    seconds = job.seconds(_TOGETHER_S)
    both = await asyncio.gather(*(_offered(server, name, seconds) for name in _SLO))
    busy = (_worker_cpu_s(server) - cpu_s) / (time.monotonic() - begun)
    job.say("bursts of the heavy one", 0.8)
    steady, bursts = await asyncio.gather(_offered(server, "light", seconds), _in_bursts(server, "heavy", seconds))
    for name, goodput in zip(_SLO, both, strict=True):
        least = _KEPT * _SHARE * alone[name].rate
        text = f"{goodput.rate:.1f} images/s of {alone[name].rate:.1f} alone"
        found.holds(f"{name}, both flooded", text, f">= {least:.1f}", goodput.rate >= least)
        found.none(f"{name}: answers past its own deadline", goodput.late)
    least = _KEPT * _SHARE * alone["light"].rate
    found.holds("light, beside bursts of heavy", f"{steady.rate:.1f} images/s", f">= {least:.1f}", steady.rate >= least)
    found.figure("heavy, in bursts", f"{bursts.rate:.1f} images/s")
    found.figure("cores that the workers used, both flooded", f"{busy:.2f}")


async def _in_bursts(server: Server, name: str, seconds: float) -> Goodput:
    """Two seconds of flood, two of nothing."""
    total, ends = Goodput(), time.monotonic() + seconds
    while time.monotonic() < ends:
        burst = await _offered(server, name, _BURST_S)
        total.answered, total.late = total.answered + burst.answered, total.late + burst.late
        total.seconds += burst.seconds
        await asyncio.sleep(_BURST_S)
    return total


async def _offered(server: Server, name: str, seconds: float) -> Goodput:
    """Clients that send as fast as they are answered or refused."""
    found, begun = Goodput(), time.monotonic()

    async def send(number):
        client, image = await server.connect(), photo(number)
        while time.monotonic() < begun + seconds:
            sent = time.monotonic()
            reply = await client.request("POST", f"/v1/models/{name}/images", image, cache_control="no-store")
            if reply.status == 200:
                found.answered += 1
                found.late += time.monotonic() - sent > 1.5 * _SLO[name]
            elif reply.status == 503:
                await asyncio.sleep(0.02)

    await asyncio.gather(*(send(number) for number in range(_CLIENTS)))
    found.seconds = time.monotonic() - begun
    return found


def _worker_cpu_s(server: Server) -> float:
    return sum(sum(worker.cpu_times()[:2]) for worker in server.workers)
