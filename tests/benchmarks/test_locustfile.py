"""Locust's users get answers from the real server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.harness import serving

FILE = Path(__file__).parents[2] / "benchmarks" / "locustfile.py"
HANG_GUARD_S = 50


@pytest.mark.long
def test_guests_are_answered(tmp_path):
    """Headless, for some seconds: requests, and no failure."""
    with serving("--slo", "30s") as server:
        command = [sys.executable, "-m", "locust", "-f", str(FILE), "--headless", "--only-summary", "--json"]
        command += ["--host", f"http://{server.host}:{server.port}"]
        command += ["--users", "4", "--spawn-rate", "4", "--run-time", "2s", "--stop-timeout", "20s"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=HANG_GUARD_S, cwd=tmp_path, check=False)

    assert 0 == run.returncode, run.stderr
    rows = json.loads(run.stdout)
    assert sum(row["num_requests"] for row in rows) > 3
    assert [0] * len(rows) == [row["num_failures"] for row in rows]
    assert {"/v1/images"} == {row["name"].split()[0] for row in rows}
