"""A run against a server, and what the server's processes used meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from benchmarks.machine import busy_s, cpu_s
from benchmarks.served import Served
from server.commands.bench.fleet import Fleet, Load, Run
from server.commands.bench.records import OK, outcome_name
from server.commands.bench.stats import Summary, summarize
from server.process.cpus import usable_cpus

_QUIET, _LOOK_S = 0.05, 0.25  # of a core; between looks
_MOST_S = 30.0  # that a server may take to become quiet


class Spoilt(Exception):
    """A run without a figure; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Metered:
    """Of the window: CPU seconds of the server, of the client and of everyone; memory at its end."""

    run: Run
    summary: Summary
    wall_s: float
    server_cpu_s: float
    busy_s: float
    memory: int  # bytes of all its processes, what they share counted once

    @property
    def client_cpu_s(self) -> float:
        return sum(self.run.cpu_s)

    @property
    def client_share(self) -> float:
        """Of all that this machine has."""
        return _share(self.client_cpu_s, self.wall_s)

    @property
    def others_share(self) -> float:
        """Used by anyone but server and client."""
        return _share(self.busy_s - self.server_cpu_s - self.client_cpu_s, self.wall_s)

    @property
    def cpu_each_s(self) -> float:
        """Of the server, an answered image; where all were answered."""
        return self.server_cpu_s / self.wall_s / self.summary.rate if self.summary.rate else float("nan")


def metered(fleet: Fleet, load: Load, served: Served) -> Metered:
    """Carry out `load`. Raises `Spoilt` if a process of the server ended or was replaced meanwhile."""
    pids = served.pids()
    looks: list[tuple[float, float, float]] = []

    def look() -> None:
        looks.append((time.monotonic(), cpu_s(pids), busy_s()))

    try:
        run = fleet.run(load, at_start=look, at_end=look)
        same, memory = served.pids() == pids, memory_of(pids)
    except psutil.NoSuchProcess:
        raise Spoilt("a process of the server ended") from None
    if not same:
        raise Spoilt("a process of the server was replaced")
    (began, cpu, busy), (ended, cpu_after, busy_after) = looks
    summary = summarize(run.rows, load.duration_s, load.slo_s)
    return Metered(run, summary, ended - began, cpu_after - cpu, busy_after - busy, memory)


def only_200s(one: Metered) -> Metered:
    """`one`, unless anything but a 200 came, warm-up included: then it raises `Spoilt`."""
    kinds = one.run.rows["outcome"]
    if not len(kinds) or (kinds != OK).any():
        counts = {kind: int((kinds == kind).sum()) for kind in sorted(set(kinds.tolist()))}
        raise Spoilt(", ".join(f"{outcome_name(kind)}: {count}" for kind, count in counts.items()) or "no answer")
    return one


def memory_of(pids: Sequence[int]) -> int:
    """Bytes in memory; where the system tells, what processes share counts once (PSS)."""
    total = 0
    for pid in pids:
        process = psutil.Process(pid)
        try:
            full = process.memory_full_info()
        except psutil.AccessDenied:
            full = process.memory_info()
        total += getattr(full, "pss", 0) or full.rss
    return total


def settle(served: Served) -> None:
    """Wait until the server rests, so that what is left of an overload is not the next run's.

    Raises `Spoilt` if it does not rest in time.
    """
    pids, limit = served.pids(), time.monotonic() + _MOST_S
    while time.monotonic() < limit:
        before = cpu_s(pids)
        time.sleep(_LOOK_S)
        if cpu_s(pids) - before <= _QUIET * _LOOK_S:
            return
    raise Spoilt(f"the server was still busy {_MOST_S:g} s after the load")


def _share(used_s: float, wall_s: float) -> float:
    return max(0.0, used_s / (wall_s * usable_cpus()))
