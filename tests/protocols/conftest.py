"""The servers that the tests of protocols share."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.harness import serving
from tests.models import three_outputs

ROOT = Path(__file__).parents[2]
TRITON = ROOT / ".venvs" / "triton" / "bin" / "python"


@pytest.fixture(scope="session")
def demo():
    """A server of the demo model, whose classes have names; on hypercorn."""
    with serving("--workers", "1", "--grpc-port", "0", "--http-server", "hypercorn", "--slo", "5s") as server:
        yield server


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """A server of a model with several outputs, on uvicorn. Gives the server and its model's file."""
    path = three_outputs(tmp_path_factory.mktemp("several") / "several.onnx")
    flags = ("--workers", "1", "--grpc-port", "0", "--http-server", "uvicorn", "--slo", "5s")
    with serving(str(path), *flags) as server:
        yield server, path


def grpc_address(server):
    """Where its gRPC port is, by its start-up block."""
    return re.search(r"grpc +(\S+:\d+)", server.block)[1]


def with_client(name, script, *arguments):
    """What a script prints that runs on somebody's own client, in the environment of that."""
    python = ROOT / ".venvs" / name / "bin" / "python"
    command = [str(python), str(Path(__file__).parent / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert not done.returncode, done.stderr
    return done.stdout


def with_triton(script, *arguments):
    """The same on Triton's client."""
    return with_client("triton", script, *arguments)
