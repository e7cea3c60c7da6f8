"""What the processes of a server load."""

import subprocess
import sys

import pytest


def loaded(by, *modules):
    """Which of these modules are there once `by` has been imported."""
    check = f"import sys, {by}; print(*[name for name in {modules} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["server.web.process", "server.web.front_process", "server.consume.process"])
def test_a_server_process_loads_no_rich(module):
    """It shows nothing on a terminal, and rich would be a third of its imports."""
    assert ["structlog"] == loaded(module, "structlog", "rich")


def test_a_worker_loads_neither_settings_nor_logging():
    """A server starts several: each loads what decodes and runs, no more."""
    assert ["numpy", "onnxruntime"] == loaded(
        "server.inference.worker", "structlog", "rich", "pydantic", "starlette", "numpy", "onnxruntime"
    )


def test_a_host_program_keeps_its_rich():
    """It is hidden only while structlog loads."""
    check = "import rich, server.process.lean, sys; print(sys.modules['rich'] is rich)"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert "True" == done.stdout.strip()
