"""How much memory this process may use: what its container's limit leaves of the machine's."""

import os
from collections.abc import Iterator
from pathlib import Path

from server.process.control_groups import CGROUPS, MEMBERSHIP, groups

_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def usable_memory(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Bytes: the lowest limit of the control groups this process is in, or else all of the machine's memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(cgroups, membership)])


def _limits(cgroups: Path, membership: Path) -> Iterator[int]:
    for version, group in groups("memory", cgroups, membership):
        try:
            yield int((group / _FILES[version]).read_text())
        except (OSError, ValueError):  # no such group here, or "max": no limit
            pass
