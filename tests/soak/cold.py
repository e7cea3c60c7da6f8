"""The Lambda function: how long it takes to its first answer, to the next ones, and how much memory it has."""

import io
import tempfile
import time
from pathlib import Path

import psutil
from PIL import Image

from tests.photos import photo
from tests.server.aws_lambda import events
from tests.server.aws_lambda.runtime_api import function
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import cpu_s

_STARTS, _WARM = 5, 100
_MB = 1_000_000


def run(job: Job) -> Findings:
    found = Findings()
    cold, cpu, warm, memory = [], [], [], []
    starts = job.count(_STARTS)
    pictures = [_photograph(seed) for seed in range(20)]
    for start in range(starts):
        job.say(f"start {start + 1} of {starts}", start / starts)
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            with function({"TUREEN_CACHE": "off", "TUREEN_SLO": "10s"}, Path(folder)) as tureen:
                for number in range(1 + job.count(_WARM, 20)):
                    reply = tureen.http(events.url("POST", "/v1/images", pictures[number % len(pictures)]))
                    assert reply["statusCode"] == 200, reply
                    (cold if number == 0 else warm).append(time.monotonic() - began)
                    if number == 0:
                        cpu.append(_cpu_s(tureen.process.pid))
                    began = time.monotonic()
                memory.append(_memory_mb(tureen.process.pid))
    found.figure(
        f"from the start of the process to its first answer, median of {starts}", f"{quantile(cold, 0.5):.2f} s"
    )
    found.figure("... of CPU time in both processes", f"{quantile(cpu, 0.5):.2f} s")
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        found.figure(f"a 1 Mpx photo, warm, by base64 and the Runtime API: {name}", f"{1e3 * quantile(warm, q):.1f} ms")
    found.figure("memory of both processes (PSS)", f"{max(memory):.0f} MB")
    found.raw |= {"cold_s": cold, "cold_cpu_s": cpu, "warm_s": warm, "memory_mb": memory}
    return found


def _photograph(seed: int) -> bytes:
    """Of 1,200 x 800 pixels."""
    out = io.BytesIO()
    Image.open(io.BytesIO(photo(seed))).resize((1200, 800)).save(out, "JPEG", quality=85)
    return out.getvalue()


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(cpu_s(one) for one in (process, *process.children(recursive=True)))


def _memory_mb(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / _MB
