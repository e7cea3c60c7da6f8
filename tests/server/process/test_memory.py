"""How much memory this process may use, in a container of either kind."""

import os

import pytest

from server.process.memory import usable_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
GB = 1_000_000_000


@pytest.fixture
def machine(tmp_path):
    """Give what `usable_memory` says with these groups of this process, and these files of limits."""

    def usable(membership, files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return usable_memory(tmp_path / "cgroup", tmp_path / "membership")

    return usable


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"memory.max": f"{GB}\n"}, GB),
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        ("0::/a/b\n", {"memory.max": f"{GB}", "a/memory.max": f"{GB // 2}", "a/b/memory.max": "max"}, GB // 2),
        ("0::/not/seen/here\n", {"memory.max": f"{GB}"}, GB),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": f"{GB}"}, GB),
        ("4:cpu,memory:/host/path\n", {"memory/memory.limit_in_bytes": f"{GB}"}, GB),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("4:cpu:/\n", {"memory/memory.limit_in_bytes": f"{GB}"}, MACHINE),
        ("", {}, MACHINE),
    ],
    ids=[
        "v2", "v2 without a limit", "v2: the parent's is lower", "v2: the host's names", "v1", "v1: the host's names",
        "v1 without a limit", "v1: another controller", "no groups",
    ],
)  # fmt: skip
def test_the_lowest_limit_counts(machine, membership, files, expected):
    """The limit of the container, of the groups above it, or the machine's memory."""
    assert expected == machine(membership, files)


def test_without_control_groups_the_machine_counts(tmp_path):
    """As on macOS."""
    assert MACHINE == usable_memory(tmp_path, tmp_path / "absent")
