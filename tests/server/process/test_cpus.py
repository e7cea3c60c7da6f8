"""How many workers are worth starting on this machine, in this container."""

import os

import pytest

from server.process.cpus import usable_cpus

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
ONE, HALF, MANY = "100000 100000", "50000 100000", f"{HERE * 10}00000 100000"


@pytest.fixture
def usable(tmp_path):
    """Gives what `usable_cpus` says with these groups of this process, and these files of quotas."""

    def usable(membership, files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return usable_cpus(tmp_path / "cgroup", tmp_path / "membership")

    return usable


def v1(folder, quota, period=100_000):
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("membership", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, HERE),
        ("0::/\n", {"cpu.max": ONE}, 1),
        ("0::/\n", {"cpu.max": HALF}, 1),
        ("0::/\n", {"cpu.max": MANY}, HERE),
        ("0::/\n", {"cpu.max": "?"}, HERE),
        ("0::/a/b\n", {"cpu.max": MANY, "a/cpu.max": ONE, "a/b/cpu.max": "max 100000"}, 1),
        ("0::/not/seen/here\n", {"cpu.max": ONE}, 1),
        ("4:cpu,cpuacct:/a\n0::/\n", v1("cpu,cpuacct/a", 100_000), 1),
        ("4:cpuacct,cpu:/host/path\n", v1("cpu", 50_000), 1),
        ("4:cpu:/\n", v1("cpu", -1), HERE),
        ("4:cpu:/\n", v1("cpu", 100_000, 0), HERE),
        ("4:memory:/\n", v1("cpu", 100_000), HERE),
    ],
    ids=[
        "v2 without a quota", "v2", "v2: half a CPU", "v2: more than there are", "v2: nonsense", "v2: the parent's",
        "v2: the host's names", "v1", "v1: the host's names", "v1 without a quota", "v1: nonsense",
        "v1: another controller",
    ],
)  # fmt: skip
def test_the_lowest_quota_bounds_the_cpus(usable, membership, files, cpus):
    """A container limited to half a CPU on a machine of 64 gets one worker, not 64."""
    assert cpus == usable(membership, files)


def test_without_control_groups_the_affinity_counts(tmp_path):
    """As on macOS."""
    assert HERE == usable_cpus(tmp_path, tmp_path / "absent")
