"""The client as a distribution of its own."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_it_is_built_and_imported_without_the_server(tmp_path):
    """Under its own name, with httpx and without ONNX Runtime or anything else of the server."""
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", build, str(tmp_path)]
    made = subprocess.run(command, cwd=ROOT / "server" / "client", capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / made.stdout.split()[-1]) as wheel:
        wheel.extractall(tmp_path / "site")

    script = (
        "import sys; sys.modules['server'] = None\n"
        "from tureen_client import AsyncClient, Client, Refused\n"
        "print(sorted({'onnxruntime', 'numpy', 'starlette', 'msgspec'} & {*sys.modules}), Client.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip

    assert "[] tureen_client.client" == done.stdout.strip(), done.stderr
