"""How many CPUs this process may use: what its affinity and its container's quota leave of the machine's."""

import os
from math import ceil
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2, as a container sees its own


def usable_cpus(quota: Path = _QUOTA) -> int:
    """At least 1. A quota counts as the CPUs it amounts to, rounded up: more would only be throttled."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, _quota_cpus(quota) or cpus))


def _quota_cpus(file: Path) -> int | None:
    """The file holds "max 100000", or microseconds of CPU time and the period they are for."""
    try:
        given, period = file.read_text().split()
        return ceil(int(given) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup v2, no quota, or a file we do not know
        return None
