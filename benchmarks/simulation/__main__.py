"""The whole sweep: a table on standard output, a plot into docs/img/, progress on standard error."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
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
            if trouble != "none" and (trouble != "uneven" or MACHINES[machine].executors > 1):
                yield Case(machine, 2.0, trouble=trouble, count=count, seed=seed)


def title(case: Case) -> str:
    return f"{case.machine} | {case.pattern} | {case.mix} | {case.trouble} | {case.factor:g}x"


def summary(scores: Sequence[Score]) -> str:
    """How many rows keep both promises, and over all images the same."""
    on_time, late, dropped = (sum(getattr(one, name) for one in scores) for name in ("on_time", "late", "dropped"))
    turned_away = sum(one.refused for one in scores) + dropped
    return (
        f"\n{len(scores)} runs: {sum(one.kept >= 0.99 for one in scores)} keep 99 % of the admitted, "
        f"{sum(one.wrongly_refused <= 0.02 for one in scores)} turn away no more than 2 % wrongly.\n"
        f"All images: {on_time / max(1, on_time + late):.2%} kept, {dropped / max(1, on_time + late + dropped):.2%} of "
        f"the admitted dropped, {sum(one.fitting for one in scores) / max(1, turned_away):.2%} wrongly turned away, "
        f"{on_time / max(1, sum(one.possible for one in scores)):.3f} of the oracle's."
    )


def row(score: Score) -> str:
    return (
        f"| {title(score.case)} | {score.on_time} "
        f"| {score.late} | {score.dropped} | {score.refused} | {score.kept:.2%} | {score.wrongly_refused:.2%} "
        f"| {score.goodput:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--count", type=int, default=4000, help="images a run (default: 4000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", type=re.compile, default=re.compile(""), metavar="PATTERN", help="rows that match; draws no plot"
    )
    arguments = parser.parse_args()
    wanted = [case for case in cases(arguments.count, arguments.seed) if arguments.only.search(title(case))]
    scores = [simulate(case) for case in track(wanted, "simulating", console=Console(file=sys.stderr))]
    print(
        "| machine | arrivals | mix | trouble | load | on time | late | dropped | refused | kept | wrong | of oracle |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(map(row, scores)))
    print(summary(scores))
    if not arguments.only.pattern:
        draw(scores, PLOT)


if __name__ == "__main__":
    main()
