"""The Linux control groups that this process is in: what a container's limits are written in.

A group is limited by those above it as well. In a container the names of the groups may be those of the host, which the
container does not see; its own limit is then at the top of what it sees.
"""

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def groups(controller: str, cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Iterator[tuple[int, Path]]:
    """The version, 1 or 2, and the folder of each group that may limit what `controller` counts, from the process's own
    group upwards. None without control groups.

    Each line of `membership` is `number:controllers:/path`; version 2 has number 0 and names no controllers.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield from ((2, level) for level in _upwards(cgroups, path))
        elif controller in controllers.split(","):
            for mount in dict.fromkeys((controller, controllers)):  # one of them may be a link to the other
                yield from ((1, level) for level in _upwards(cgroups / mount, path))


def _upwards(root: Path, path: str) -> Iterator[Path]:
    own = root / path.lstrip("/")
    return (level for level in (own, *own.parents) if level.is_relative_to(root))
