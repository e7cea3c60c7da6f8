"""Ray Serve on two nodes: what a killed replica and a killed node cost, what Ray's proxy costs, and scaling by load."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.soak.phase import Findings, Job

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venvs" / "ray" / "bin" / "python"
_LENGTH_S = 10.0  # of each load
_STEPS = 7
_HANG_S = 900
_QUICK = {  # a node that is silent for three seconds is lost, as deploy/ray/README.md advises
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


def run(job: Job) -> Findings:
    found = Findings()
    for number, (what, figure) in enumerate(_told(job.seconds(_LENGTH_S, 3.0))):
        job.say(what, (number + 1) / _STEPS)
        found.raw[what] = figure
        if what.startswith("kill"):
            bad = sum(count for status, count in figure.items() if status != "200")
            found.none(f"{what}: not 200, of {sum(figure.values()):,}", bad)
        elif what == "p50_ms":
            there, here = sorted(figure)[len(figure) // 2]
            found.figure("p50 by Ray's proxy and ingress, and by our own HTTP", f"{there:.1f} ms, {here:.1f} ms")
        elif what == "at 2x":
            others = sum(count for status, count in figure["statuses"].items() if status not in ("200", "503", "504"))
            found.figure(
                "goodput at twice the load, and in a closed loop",
                f"{figure['good']:.0f}, {figure['closed loop']:.0f}/s",
            )
            found.none("... neither answered nor refused", others)
            found.none("... refused without Retry-After", figure["503 without Retry-After"])
        else:
            found.figure(what, f"{figure:.0f}")
    found.holds("steps that ended", str(len(found.raw)), str(_STEPS), len(found.raw) == _STEPS)
    return found


def _told(seconds: float) -> Iterator[tuple[str, Any]]:
    """What the cluster tells, as it tells it."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "deploy" / "ray")])
    environ = os.environ | _QUICK | {"PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0"}
    command = ["timeout", str(_HANG_S), str(PYTHON), "-m", "tests.soak.ray_cluster", str(seconds)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as cluster:
        for line in cluster.stdout:
            if line.startswith("{"):
                yield from json.loads(line).items()
