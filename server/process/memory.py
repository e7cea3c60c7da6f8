"""How much memory this process may use: what its container's limit leaves of the machine's."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_memory(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Bytes: the lowest limit of the control groups (v1 or v2) this process is in, or else all of the machine's memory.

    A group is limited by those above it as well. In a container the names of the groups may be those of the host, which
    it does not see; its own limit is then at the top of what it sees.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(cgroups, membership)])


def _limits(cgroups: Path, membership: Path) -> Iterator[int]:
    for folder, file in _groups(cgroups, membership):
        for level in (folder, *folder.parents):
            if level.is_relative_to(cgroups) and (limit := _read(level / file)):
                yield limit


def _groups(cgroups: Path, membership: Path) -> Iterator[tuple[Path, str]]:
    """The folders of this process's groups that may limit memory, and the name of the file that says so.

    Each line of `membership` is `number:controllers:/path`; v2 has number 0 and names no controllers.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield cgroups / path.lstrip("/"), "memory.max"
        elif "memory" in controllers.split(","):
            yield cgroups / "memory" / path.lstrip("/"), "memory.limit_in_bytes"


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no such group here, or "max": no limit
        return None
