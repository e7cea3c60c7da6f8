"""How many workers are worth starting on this machine, in this container."""

import os

import pytest

from server.process.cpus import usable_cpus

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000", HERE),
        ("100000 100000", 1),
        ("50000 100000", 1),
        (f"{HERE * 10}00000 100000", HERE),
        ("?", HERE),
    ],
)
def test_quota_bounds_the_cpus(tmp_path, text, cpus):
    """A container limited to half a CPU on a machine of 64 gets one worker, not 64."""
    file = tmp_path / "cpu.max"
    file.write_text(text)

    assert cpus == usable_cpus(file)


def test_without_a_quota_the_affinity_counts(tmp_path):
    """No cgroup v2, as on macOS."""
    assert HERE == usable_cpus(tmp_path / "absent")
