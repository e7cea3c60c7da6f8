"""What was measured on, and how busy it is. Knows nothing of what is measured."""

from __future__ import annotations

import os
import platform
import resource
from importlib import metadata
from pathlib import Path

import psutil

from server.process.cpus import usable_cpus

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "pillow", "numpy", "hypercorn", "uvloop")


def facts() -> dict[str, str]:
    """The machine and the versions, as a reader of the figures wants to know them."""
    return {
        "CPU": f"{_cpu_model()}, {usable_cpus()} of {os.cpu_count()} cores usable",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
    }


def own_cpu_s() -> float:
    """CPU seconds, user and system, of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_s(pids: list[int]) -> float:
    """CPU seconds, user and system, of these processes so far. Raises `psutil.NoSuchProcess`."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(each.user + each.system for each in times))


def busy_s() -> float:
    """CPU seconds that the usable CPUs have spent on anyone, so far; what a host took away counts too."""
    cpus = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        cpus = [cpus[cpu] for cpu in os.sched_getaffinity(0)]
    return float(sum(sum(cpu) - _idle(cpu) for cpu in cpus))


def _idle(cpu: tuple[float, ...]) -> float:
    """Time not spent; a guest's time is counted within the user's by Linux, so one of the two must go."""
    names = ("idle", "iowait", "guest", "guest_nice")
    return sum(float(getattr(cpu, name, 0.0)) for name in names)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
