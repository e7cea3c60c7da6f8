"""What a measurement holds for: the model, the machine, and the versions that compute."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from server.process.cpus import usable_cpus

_LIMIT = Path("/sys/fs/cgroup/memory.max")  # cgroup v2, as a container sees its own
_CPUINFO = Path("/proc/cpuinfo")
_GIB = 1 << 30
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")  # the names under which ONNX Runtime is installed


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that may change which layout is best. A profile counts only where each of these is the same."""

    model: str
    """XXH3-128 of the model file, hex."""
    provider: str
    cpu: str
    cpus: int
    """Those this process may use."""
    memory_gib: int
    """The memory it may use, as a power of two that it does not fall below."""
    tureen: str
    onnxruntime: str
    numpy: str


def key_for(model: str, provider: str) -> Key:
    """The key of a model, by its digest, here and now."""
    return Key(
        model=model,
        provider=provider,
        cpu=cpu_model(),
        cpus=usable_cpus(),
        memory_gib=memory_class(),
        tureen=_version("tureen"),
        onnxruntime=next((found for name in _RUNTIMES if (found := _version(name))), ""),
        numpy=_version("numpy"),
    )


def differences(known: Key, here: Key) -> list[str]:
    """Where they differ, for people: "cpus is 4 there and 2 here"."""
    pairs = ((name, getattr(known, name), getattr(here, name)) for name in Key.__struct_fields__)
    return [f"{name} is {there!r} there and {now!r} here" for name, there, now in pairs if there != now]


def cpu_model(cpuinfo: Path = _CPUINFO) -> str:
    """The CPU by its maker's name, as far as the system tells."""
    try:
        found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def memory_class(limit: Path = _LIMIT) -> int:
    """GiB: the largest power of two within the container's limit, or within what the machine has; at least 1."""
    usable = min(_total(), _limit(limit))
    return 1 << max(0, (usable // _GIB).bit_length() - 1)


def _total() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limit(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return _total()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
