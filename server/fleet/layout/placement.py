"""On which device and in which layout the workers compute: decided before any of them serves, the same for all.

`auto` asks a separate process, because looking for a GPU loads CUDA, which no serving process should carry for nothing.
Each worker is told `cpu` or `cuda`, and fails rather than take the other.

The layout (how many workers, of how many threads) is the configured one; else the one that `tureen tune` measured; else
the start-up benchmark decides (server/fleet/layout/benchmark.py).
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Literal

import structlog

from server.fleet.layout.choose import Layout, LayoutRequest, choose, default, full
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
    """A provider, the index of the first GPU, and in a few words why. `devices`: of all, where there are several."""

    provider: Literal["cpu", "cuda"]
    device: int
    why: str
    devices: tuple[int, ...] = ()

    @property
    def gpus(self) -> int:
        """How many there are to be used, at least one."""
        return len(self.devices) or 1


@dataclass(frozen=True, slots=True)
class LayoutChoice:
    """A layout, the images in a batch (0: as warming up finds), and in a few words why.

    `in_turn`: workers open the model one after the other. `spare`: this many are skipped if they cannot open it.
    """

    layout: Layout
    batch: int
    why: str
    in_turn: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class LayoutPlan:
    """A choice, or the layouts to measure; the first of them serves if measuring fails."""

    decision: LayoutChoice | None
    layouts: tuple[Layout, ...] = ()
    slo_s: float = 1.0
    devices: tuple[int, ...] = ()
    """The GPUs that workers take in turn, where there are several. One that cannot be used is tried again later."""

    @property
    def workers(self) -> int:
        """How many to start."""
        return (self.decision.layout if self.decision else self.layouts[0]).workers

    def fallback(self, reason: str) -> LayoutChoice:
        """The layout that serves if measuring failed."""
        return LayoutChoice(self.layouts[0], 0, f"not measured: {reason}")


@dataclass(frozen=True, slots=True)
class LayoutSettings:
    """What the settings say about the layout."""

    asked: LayoutRequest
    model: Path
    profiles: Path
    """The folder that profiles are in."""
    slo_s: float
    max_batch: int


async def lay_out(wanted: LayoutSettings, place: Placement) -> LayoutPlan:
    """The layout, or the layouts left to measure."""
    if place.provider == "cuda":
        return LayoutPlan(beside_gpus(wanted.asked, usable_cpus(), place.gpus), devices=place.devices)
    cpus = usable_cpus()
    if wanted.asked.workers and wanted.asked.threads:
        return LayoutPlan(LayoutChoice(default(cpus, wanted.asked), 0, "as configured"))
    if decision := await asyncio.to_thread(_remembered, wanted, place.provider):
        return LayoutPlan(decision)
    layouts = full(cpus, wanted.asked)
    if len(layouts) > 1:
        return LayoutPlan(None, layouts, wanted.slo_s)
    return LayoutPlan(LayoutChoice(layouts[0], 0, "as configured" if wanted.asked != LayoutRequest() else "one CPU"))


def beside_a_gpu(asked: LayoutRequest, cpus: int) -> LayoutChoice:
    """Two workers, if there are CPUs for them to decode on: if one dies, the other answers. More, if the model needs
    them (`scaled_to_gpu`).

    Each holds the model and its own CUDA context, and needs more GPU memory while it tries one configuration after
    another. So they open the model one after the other. All but the first are skipped, unless configured, if there is
    no memory for them.
    """
    if asked.workers:
        return LayoutChoice(Layout(asked.workers, 1), 0, "as configured", in_turn=True)
    if cpus < 2 * _CPUS_A_WORKER:
        why = f"one for a GPU, with {cpus} CPU{'s' * (cpus > 1)} to decode"
        return LayoutChoice(Layout(1, 1), 0, why, in_turn=True)
    return LayoutChoice(Layout(2, 1), 0, "two for a GPU", in_turn=True, spare=1)


def beside_gpus(asked: LayoutRequest, cpus: int, gpus: int) -> LayoutChoice:
    """As `beside_a_gpu` for each of `gpus`, which share the CPUs. Workers that are configured are spread over them."""
    one = beside_a_gpu(asked, cpus // gpus)
    if asked.workers or gpus == 1:
        return one
    workers = one.layout.workers * gpus
    why = f"{one.layout.workers} for each of {gpus} GPUs"
    return replace(one, layout=Layout(workers, 1), why=why, spare=workers - 1)


def decoders(workers: int) -> int:
    """How many images each of `workers` decodes at a time beside a GPU: together one per CPU."""
    return max(1, usable_cpus() // workers)


def scaled_to_gpu(decision: LayoutChoice, rate: float, cpus: int, gpus: int = 1) -> LayoutChoice:
    """The choice with as many workers as decoding for `rate` images per second of each GPU needs; unchanged if the
    number of workers is configured."""
    workers = gpus * min(ceil(rate / _FED_BY_ONE), _MOST_ON_A_GPU, cpus // gpus // _CPUS_A_WORKER)
    if not decision.spare or workers <= decision.layout.workers:
        return decision
    why = f"to feed a GPU that runs {rate:,.0f} images/s"
    return replace(decision, layout=Layout(workers, 1), why=why, spare=workers - 1)


def _remembered(wanted: LayoutSettings, provider: str) -> LayoutChoice | None:
    """The choice of a profile: of the one made for exactly this request, else of the one of all layouts."""
    if not (key := sought(wanted.profiles, wanted.model, provider)):
        return None
    found = (_profile(wanted.profiles, key, asked) for asked in dict.fromkeys((wanted.asked, LayoutRequest())))
    decisions = (from_profile(profile, wanted) for profile in found if profile)
    return next(filter(None, decisions), None)


def _profile(folder: Path, key: Key, asked: LayoutRequest) -> Profile | None:
    """A profile that exists and is valid; an invalid one is logged and ignored."""
    try:
        return read(folder, key, asked)
    except ProfileError as error:
        log.warning("profile_ignored", reason=str(error))
        return None


def from_profile(profile: Profile, wanted: LayoutSettings) -> LayoutChoice | None:
    """The best row that the settings allow; None if there is none, or the profile was made for another request."""
    if not profile.asked.includes(wanted.asked):
        return None
    rows = [row for row in profile.rows if wanted.asked.allows(row.layout)]
    if not (row := choose(rows, wanted.slo_s, wanted.max_batch)):
        return None
    return LayoutChoice(row.layout, row.batch, f"from the profile of {profile.date}")


async def resolve_device(
    asked: Literal["auto", "cpu", "cuda"], devices: tuple[int, ...], files: Path = Path("/dev")
) -> Placement:
    """Resolve `asked` on this machine. `devices`: GPUs by index; none for all. `files`: the folder of device files."""
    if asked == "cuda" and not devices:
        return await _all_gpus()
    device = devices[0] if devices else 0
    if asked != "auto":
        return Placement(asked, device, "as configured", devices if len(devices) > 1 else ())
    if not may_have_gpu(files):
        return Placement("cpu", device, "auto: no NVIDIA GPU found")
    if problem := await _probe(str(device)):
        return Placement("cpu", device, f"auto: GPU {device} is unusable: {problem}")
    return Placement("cuda", device, f"auto: GPU {device} found")  # pragma: no cover - needs one


async def _all_gpus() -> Placement:
    """All that CUDA shows: `CUDA_VISIBLE_DEVICES` and MIG have had their say. Where it shows none, the first worker
    says why."""
    said = await _probe("count")
    count = int(said) if said.isdigit() else 0
    return Placement("cuda", 0, f"as configured: {count} found", tuple(range(count)) if count > 1 else ())


async def _probe(what: str) -> str:
    """Why CUDA cannot be used on a GPU; empty if it can. Of `count`: how many GPUs there are, or why none."""
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "server.inference.onnx.providers", what),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    said, _ = await probe.communicate()
    words = said.decode(errors="replace").strip()
    return words or (f"the probe ended with {probe.returncode}" if probe.returncode else "")
