"""Where the workers compute: settled once, before any of them starts, and the same for all.

`auto` asks a process of its own, since finding out loads CUDA, which no process that serves should have to
carry for nothing. A worker is then told `cpu` or `cuda`, and fails rather than take another.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from server.cpus import usable_cpus
from server.gpus import may_have_gpu


@dataclass(frozen=True, slots=True)
class Placement:
    """A provider, the GPU's index, and in a few words why."""

    provider: Literal["cpu", "cuda"]
    device: int
    why: str

    @property
    def default_workers(self) -> int:
        """One a CPU. On a GPU one: each would hold the model and a CUDA context of its own."""
        return usable_cpus() if self.provider == "cpu" else 1

    def threads(self, workers: int) -> int:
        """How many images each of `workers` decodes at a time beside a GPU: together one a CPU."""
        return max(1, usable_cpus() // workers)


async def settle(asked: Literal["auto", "cpu", "cuda"], device: int, devices: Path = Path("/dev")) -> Placement:
    """What `asked` comes to on this machine. `devices`: where device files are."""
    if asked != "auto":
        return Placement(asked, device, "as asked")
    if not may_have_gpu(devices):
        return Placement("cpu", device, "auto: there is no NVIDIA GPU here")
    if problem := await _cuda_problem(device):
        return Placement("cpu", device, f"auto: the GPU cannot be used, {problem}")
    return Placement("cuda", device, f"auto: GPU {device} can be used")  # pragma: no cover - needs one


async def _cuda_problem(device: int) -> str:
    """Why CUDA cannot be used on that GPU; nothing if it can."""
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "server.inference.providers", str(device)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    said, _ = await probe.communicate()
    words = said.decode(errors="replace").strip()
    return words or (f"the probe ended with {probe.returncode}" if probe.returncode else "")
