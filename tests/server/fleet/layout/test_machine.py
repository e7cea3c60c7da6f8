"""What identifies a machine."""

import os

import pytest

from server.fleet.layout.machine import cpu_model, key_for, memory_class
from server.process.cpus import usable_cpus

TOTAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_key_holds_all_that_may_matter():
    """Every version is known; the CPUs are those that may be used."""
    key = key_for("ab", "cpu")

    assert ("ab", "cpu", usable_cpus()) == (key.model, key.provider, key.cpus)
    assert "" not in (key.cpu, key.tureen, key.onnxruntime, key.numpy)


def test_cpu_is_named_as_its_maker_names_it(tmp_path):
    """As far as the system tells; else something is said all the same."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: fpu\n")

    assert "Some CPU @ 2 GHz" == cpu_model(cpuinfo)
    assert cpu_model(tmp_path / "absent")


@pytest.mark.parametrize(("limit", "gib"), [(1 << 20, 1), (1 << 30, 1), ((2 << 30) - 1, 1), (2 << 30, 2)])
def test_memory_is_told_in_powers_of_two_of_the_limit(tmp_path, limit, gib):
    """A container's limit counts where it is below what the machine has."""
    file = tmp_path / "memory.max"
    file.write_text(f"{limit}\n")

    assert gib == memory_class(file)


@pytest.mark.parametrize("text", ["max\n", str(1 << 60)])
def test_without_a_limit_the_machine_counts(tmp_path, text):
    """ "max", a limit beyond it, or no cgroup v2."""
    file = tmp_path / "memory.max"
    file.write_text(text)

    assert memory_class(tmp_path / "absent") == memory_class(file)
    assert memory_class(file) << 30 <= max(TOTAL, 1 << 30) < memory_class(file) << 31
