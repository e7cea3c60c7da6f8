"""A worker's memory has a ceiling: what it has when it is ready, and what decoding may add."""

import subprocess
import sys

import pytest

from server.inference.memory_ceiling import SPARE_BYTES

CODE = (
    "import resource, sys\n"
    "from server.inference.memory_ceiling import data_bytes, set_ceiling\n"
    "before = data_bytes()\n"
    "growth, wanted = map(int, sys.argv[1:3])\n"
    "if sys.argv[3:]: resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]),) * 2)\n"
    "ceiling = set_ceiling(growth)\n"
    "print(ceiling - before if ceiling else 0)\n"
    "try: held = bytearray(wanted)\n"
    "except MemoryError: sys.exit(7)\n"
)


def run(*arguments):
    """(exit code, how far the ceiling is above what the process had)."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    return done.returncode, int(done.stdout)


@pytest.mark.parametrize(("wanted", "code"), [(90_000_000, 0), (100_000_000 + 2 * SPARE_BYTES, 7)])
def test_an_allocation_beyond_the_ceiling_fails(wanted, code):
    """As an exception in the process, which lives; one below is none."""
    ended, above = run(100_000_000, wanted)

    assert ended == code
    assert above == pytest.approx(100_000_000 + SPARE_BYTES, rel=0.05)


def test_no_growth_means_no_ceiling():
    """As for workers on a GPU."""
    assert run(0, 600_000_000) == (0, 0)


def test_a_lower_limit_of_somebody_else_stays():
    """What starts the server may have its own reasons."""
    assert run(2_000_000_000, 500_000_000, 300_000_000)[0] == 7
