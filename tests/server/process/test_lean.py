"""What the processes of a server load."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["server.web.process", "server.web.front_process", "server.inference.worker", "server.consume.process"]
)
def test_a_server_process_loads_no_rich(module):
    """It shows nothing on a terminal, and rich would be a third of its imports."""
    check = f"import sys, {module}; print('structlog' in sys.modules, 'rich' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert "True False" == done.stdout.strip()


def test_a_host_program_keeps_its_rich():
    """It is hidden only while structlog loads."""
    check = "import rich, server.process.lean, sys; print(sys.modules['rich'] is rich)"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert "True" == done.stdout.strip()
