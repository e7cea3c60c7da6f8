"""The machine and the versions that a measurement holds for."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from server.process.cpus import usable_cpus

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("tureen", "onnxruntime-gpu", "onnxruntime", "onnx", "numpy", "pillow")


def cpu_flags(cpuinfo: Path = _CPUINFO) -> list[str]:
    """What the CPU can do, in the kernel's words; empty where the system does not tell."""
    return (_line("flags", cpuinfo) or "").split()


def machine() -> dict[str, str]:
    """For people, and to tell another machine from this one."""
    flags = cpu_flags()
    sets = [name for name in ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp") if name in flags]
    cpu = _line("model name", _CPUINFO) or platform.processor() or platform.machine()
    return {"cpu": cpu, "instructions": " ".join(sets), "cpus": str(usable_cpus()), **versions()}


def versions() -> dict[str, str]:
    """Of the packages that decide what is written."""
    return {name: found for name in _PACKAGES if (found := _version(name))}


def _line(name: str, cpuinfo: Path) -> str | None:
    try:
        found = re.search(rf"^{name}\s*: (.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found[1].strip() if found else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
