"""The whole sweep: a table on standard output, a plot into docs/img/, progress on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.simulation.chart import draw
from benchmarks.simulation.machines import MACHINES, TROUBLES
from benchmarks.simulation.play import Case
from benchmarks.simulation.score import Score, simulate
from benchmarks.simulation.traffic import MIXES, PATTERNS

FACTORS = (0.5, 0.8, 1.0, 1.5, 2.0, 5.0, 10.0)
PLOT = Path(__file__).parents[2] / "docs" / "img" / "simulation.svg"


def cases(count: int, seed: int) -> Iterator[Case]:
    """Every machine at every load; then each mix, pattern and trouble at twice what the machine can do."""
    for machine in MACHINES:
        for pattern in PATTERNS:
            for factor in FACTORS:
                yield Case(machine, factor, pattern, count=count, seed=seed)
            for mix in MIXES[1:]:
                yield Case(machine, 2.0, pattern, mix, count=count, seed=seed)
        for trouble in TROUBLES:
            if trouble != "none" and (trouble != "uneven" or MACHINES[machine].seats > 1):
                yield Case(machine, 2.0, trouble=trouble, count=count, seed=seed)


def row(score: Score) -> str:
    case = score.case
    return (
        f"| {case.machine} | {case.pattern} | {case.mix} | {case.trouble} | {case.factor:g}x | {score.on_time} "
        f"| {score.late} | {score.dropped} | {score.refused} | {score.kept:.2%} | {score.wrongly_refused:.2%} "
        f"| {score.goodput:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--count", type=int, default=4000, help="images a run (default: 4000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scores = [
        simulate(case)
        for case in track([*cases(arguments.count, arguments.seed)], "simulating", console=Console(file=sys.stderr))
    ]
    print(
        "| machine | arrivals | mix | trouble | load | on time | late | dropped | refused | kept | wrong | of oracle |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(map(row, scores)))
    draw(scores, PLOT)


if __name__ == "__main__":
    main()
