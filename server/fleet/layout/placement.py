"""Where and in which layout the workers compute: settled before any of them serves, and the same for all.

`auto` asks a process of its own, since finding out loads CUDA, which no process that serves should have to
carry for nothing. A worker is then told `cpu` or `cuda`, and fails rather than take another.

The layout (how many workers, of how many threads) is what was asked for; else what `tureen tune` has measured; else
it is left open, for auditions to decide (server/fleet/layout/benchmark.py).
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Literal

import structlog

from server.fleet.layout.choose import Asked, Layout, choose, default, full
from server.fleet.layout.machine import Key
from server.fleet.layout.profile import Profile, ProfileError, read
from server.fleet.layout.recall import sought
from server.process.cpus import usable_cpus
from server.process.gpus import may_have_gpu

log = structlog.stdlib.get_logger("tureen.layout")

_CPUS_A_WORKER = 2  # beside a GPU: fewer are too few to decode on
_FED_BY_ONE = 1_600  # images/s that one decodes and answers: what threads can do at a time ends at Python's lock
_MOST_ON_A_GPU = 4  # then the web process is busy all the time


@dataclass(frozen=True, slots=True)
class Placement:
    """A provider, the GPU's index, and in a few words why."""

    provider: Literal["cpu", "cuda"]
    device: int
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A layout, the images in a batch (0: as warming up finds), and in a few words why.

    `in_turn`: workers open the model one after the other. `spare`: this many are skipped if they cannot open it.
    """

    layout: Layout
    batch: int
    why: str
    in_turn: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision, or the layouts that are left to try, the first of which needs no reason."""

    decision: Decision | None
    layouts: tuple[Layout, ...] = ()
    slo_s: float = 1.0

    @property
    def workers(self) -> int:
        """How many to start."""
        return (self.decision.layout if self.decision else self.layouts[0]).workers

    def fallback(self, reason: str) -> Decision:
        """What is served with where trying came to nothing."""
        return Decision(self.layouts[0], 0, f"not measured: {reason}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings say about the layout."""

    asked: Asked
    model: Path
    profiles: Path
    """The folder that profiles are in."""
    slo_s: float
    max_batch: int


async def lay_out(wish: Wish, place: Placement) -> Plan:
    """The layout, or what is left open of it."""
    if place.provider == "cuda":
        return Plan(beside_a_gpu(wish.asked, usable_cpus()))
    cpus = usable_cpus()
    if wish.asked.workers and wish.asked.threads:
        return Plan(Decision(default(cpus, wish.asked), 0, "as configured"))
    if decision := await asyncio.to_thread(_remembered, wish, place.provider):
        return Plan(decision)
    layouts = full(cpus, wish.asked)
    if len(layouts) > 1:
        return Plan(None, layouts, wish.slo_s)
    return Plan(Decision(layouts[0], 0, "as configured" if wish.asked != Asked() else "one CPU"))


def beside_a_gpu(asked: Asked, cpus: int) -> Decision:
    """Two, where there are CPUs for them to decode on: should one die, the other answers meanwhile. More, if the model
    turns out to need them (`fed`).

    Each holds the model and a CUDA context of its own, and takes more of the GPU's memory for a moment while it tries
    one way after another to run the model. So they open it in turn, and all but the first, if they were not asked for,
    only if there is memory for them.
    """
    if asked.workers:
        return Decision(Layout(asked.workers, 1), 0, "as configured", in_turn=True)
    if cpus < 2 * _CPUS_A_WORKER:
        return Decision(Layout(1, 1), 0, f"one for a GPU, with {cpus} CPU{'s' * (cpus > 1)} to decode", in_turn=True)
    return Decision(Layout(2, 1), 0, "two for a GPU", in_turn=True, spare=1)


def decoders(workers: int) -> int:
    """How many images each of `workers` decodes at a time beside a GPU: together one a CPU."""
    return max(1, usable_cpus() // workers)


def fed(decision: Decision, rate: float, cpus: int) -> Decision:
    """With as many workers as it takes to decode for a GPU that runs `rate` images/s; as it was where nothing is left
    open."""
    workers = min(ceil(rate / _FED_BY_ONE), _MOST_ON_A_GPU, cpus // _CPUS_A_WORKER)
    if not decision.spare or workers <= decision.layout.workers:
        return decision
    why = f"to feed a GPU that runs {rate:,.0f} images/s"
    return replace(decision, layout=Layout(workers, 1), why=why, spare=workers - 1)


def _remembered(wish: Wish, provider: str) -> Decision | None:
    """What a profile says: that which was made for just what is asked, else that of all layouts."""
    if not (key := sought(wish.profiles, wish.model, provider)):
        return None
    found = (_profile(wish.profiles, key, asked) for asked in dict.fromkeys((wish.asked, Asked())))
    decisions = (from_profile(profile, wish) for profile in found if profile)
    return next(filter(None, decisions), None)


def _profile(folder: Path, key: Key, asked: Asked) -> Profile | None:
    """One that is there and counts; one that does not count is reported, and makes no difference."""
    try:
        return read(folder, key, asked)
    except ProfileError as error:
        log.warning("profile_ignored", reason=str(error))
        return None


def from_profile(profile: Profile, wish: Wish) -> Decision | None:
    """The best it has of what the settings leave open; None if it has none, or was not made for that."""
    if not profile.asked.includes(wish.asked):
        return None
    rows = [row for row in profile.rows if wish.asked.allows(row.layout)]
    if not (row := choose(rows, wish.slo_s, wish.max_batch)):
        return None
    return Decision(row.layout, row.batch, f"from the profile of {profile.date}")


async def settle(asked: Literal["auto", "cpu", "cuda"], device: int, devices: Path = Path("/dev")) -> Placement:
    """Resolve `asked` on this machine. `devices`: the folder of device files."""
    if asked != "auto":
        return Placement(asked, device, "as configured")
    if not may_have_gpu(devices):
        return Placement("cpu", device, "auto: no NVIDIA GPU found")
    if problem := await _cuda_problem(device):
        return Placement("cpu", device, f"auto: GPU {device} is unusable: {problem}")
    return Placement("cuda", device, f"auto: GPU {device} found")  # pragma: no cover - needs one


async def _cuda_problem(device: int) -> str:
    """Why CUDA cannot be used on that GPU; nothing if it can."""
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "server.inference.onnx.providers", str(device)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    said, _ = await probe.communicate()
    words = said.decode(errors="replace").strip()
    return words or (f"the probe ended with {probe.returncode}" if probe.returncode else "")
