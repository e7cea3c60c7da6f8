"""The runs: a table on standard output, and a plot into docs/img/hpa.svg."""

import math
from collections.abc import Mapping
from pathlib import Path

from benchmarks.hpa.chart import draw
from benchmarks.hpa.formula import read_spec
from benchmarks.hpa.recorded import read
from benchmarks.hpa.world import Run, Traffic, play

_ROOT = Path(__file__).parents[2]
MANIFEST = _ROOT / "deploy" / "kubernetes" / "overlays" / "cpu" / "hpa.yaml"
PLOT = _ROOT / "docs" / "img" / "hpa.svg"
FLAP_S = 300.0
_HOUR = 3600


def daily(now: float) -> float:
    """From 1 pod's worth at night to 7 at noon."""
    return 4 - 3 * math.cos(2 * math.pi * now / (24 * _HOUR))


def spike(now: float) -> float:
    """Four times as much for ten minutes, from one second to the next."""
    return 8.0 if 600 <= now < 1200 else 2.0


def ramp(now: float) -> float:
    """From 1 to 9 in two hours, then as much for half an hour."""
    return 1 + 8 * min(1.0, now / (2 * _HOUR))


TRAFFIC: Mapping[str, tuple[Traffic, int]] = {
    "daily curve": (daily, 24 * _HOUR),
    "spike": (spike, 2400),
    "slow ramp": (ramp, 9000),
}


def runs() -> dict[str, Run]:
    """All of them, with the shipped autoscaler and the recorded pod."""
    spec, pod = read_spec(MANIFEST), read()
    return {name: play(traffic, length, spec, pod) for name, (traffic, length) in TRAFFIC.items()}


def table(found: Mapping[str, Run]) -> str:
    """In Markdown, as docs/autoscaling.md has it."""
    lines = [
        "| traffic | pods | refused | admitted in time | changes undone within 5 minutes |",
        "|---|---|---|---|---|",
    ]
    for name, run in found.items():
        lines.append(
            f"| {name} | {min(run.pods)} to {max(run.pods)} | {run.refused_share:.2%} | {run.kept_share:.2%} "
            f"| {run.reversals(FLAP_S)} |"
        )
    return "\n".join(lines)


def main() -> int:
    found = runs()
    print(table(found))
    draw(found, PLOT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
