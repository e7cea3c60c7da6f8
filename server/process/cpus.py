"""How many CPUs this process may use: what its affinity and its container's quota leave of the machine's."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

from server.process.control_groups import CGROUPS, MEMBERSHIP, groups


def usable_cpus(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """At least 1. A quota counts as the CPUs it amounts to, rounded up: more would only be throttled. Of several, those
    of the groups above included, the lowest counts."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cpus, *_quotas(cgroups, membership)]))


def _quotas(cgroups: Path, membership: Path) -> Iterator[int]:
    """In CPUs."""
    for version, group in groups("cpu", cgroups, membership):
        try:
            given_us, period_us = _v2(group) if version == 2 else _v1(group)
            if given_us > 0:  # v1 says -1 where there is no quota
                yield ceil(given_us / period_us)
        except (OSError, ValueError, ZeroDivisionError):  # no such group here, no quota, or a file of another form
            pass


def _v2(group: Path) -> tuple[int, int]:
    """Microseconds of CPU time, and the period they are for. Raises `ValueError` for "max 100000": no quota."""
    given, period = (group / "cpu.max").read_text().split()
    return int(given), int(period)


def _v1(group: Path) -> tuple[int, int]:
    return int((group / "cpu.cfs_quota_us").read_text()), int((group / "cpu.cfs_period_us").read_text())
