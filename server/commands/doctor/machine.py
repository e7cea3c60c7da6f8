"""What the machine allows: limits, memory, CPUs, clock, GPU."""

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from server.commands.doctor.findings import Finding
from server.process.cpus import usable_cpus
from server.process.gpus import may_have_gpu
from server.process.memory import usable_memory
from server.settings import Settings, derived

_OWN_FILES = 64  # descriptors beside those of connections
_LEAST_MEMORY = 700_000_000  # a web process, a worker and the demo model
_WORKER_BYTES = 250_000_000  # that a worker takes before its model


class Machine(NamedTuple):
    """The facts. `newest_file_s`: when the newest file of this package was written, in seconds since 1970."""

    open_files: int
    memory: int
    cpus: int
    has_gpu: bool
    now_s: float
    newest_file_s: float


def measure() -> Machine:
    """This machine."""
    newest = max(path.stat().st_mtime for path in Path(__file__).parents[2].rglob("*.py"))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    unlimited = files == resource.RLIM_INFINITY
    return Machine(
        1 << 30 if unlimited else files, usable_memory(), usable_cpus(), may_have_gpu(), time.time_ns() / 1e9, newest
    )


def check(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """What is wrong with a machine for these settings. Pure."""
    wanted = min(settings.server.max_connections or 1024, derived.connections(settings.server, machine.memory))
    if machine.open_files < wanted + _OWN_FILES:
        yield Finding(
            "open files", f"{machine.open_files} may be open; {wanted} connections need {wanted + _OWN_FILES}",
            "raise the limit (ulimit -n 65536, LimitNOFILE= in systemd), or lower max_connections",
        )  # fmt: skip
    workers = settings.worker.workers or 1
    needed = max(_LEAST_MEMORY, workers * _WORKER_BYTES)
    if machine.memory < needed:
        yield Finding(
            "memory", f"{machine.memory / 1e6:.0f} MB may be used; {workers} workers need about {needed / 1e6:.0f} MB",
            "raise the container's limit, or lower workers",
        )  # fmt: skip
    if workers > machine.cpus:
        yield Finding(
            "workers", f"{workers} workers share {machine.cpus} CPUs", "leave workers out: the server measures it"
        )
    if settings.provider_name == "cuda" and not machine.has_gpu:
        yield Finding(
            "GPU", "provider is cuda, and no NVIDIA GPU is visible here",
            "give the container the GPU, or leave provider out",
        )  # fmt: skip
    if machine.now_s < machine.newest_file_s - 86400:
        shown = datetime.fromtimestamp(machine.now_s, UTC)
        yield Finding(
            "clock", f"it says {shown:%Y-%m-%d %H:%M} UTC, which is before this program was installed",
            "set the clock and run a time service: ids, tokens and certificates depend on it",
        )  # fmt: skip
