"""docs/performance.md, of a comparison's JSON: `python -m benchmarks.render benchmarks/results/compare.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import charts, figures
from benchmarks.contenders import CONTENDERS
from benchmarks.figures import DISTURBED, Budget, Figure, Measure, figure

_HEAD = """\
# Performance

What Tureen makes of a machine, beside what the machine could do with no server at all, and beside the same models
behind FastAPI, written by hand: once as most teams write it, once by someone who has measured. This page is written by
`make bench`; [benchmarks/README.md](../benchmarks/README.md) says how it measures and what it leaves out. To measure
a server of yours, use [`tureen bench`](bench.md).
"""

_READING = """\
Roof: decoding and model in one process a core, no server. *Good*: answered 200, rightly, within the SLO, of all that
was offered, from the time the request should have been sent. *c32*: 32 connections that each send again when they are
answered; its rate is the server's *capacity*, and 2x offers twice that, as Poisson arrivals. Each contender is offered
multiples of its own capacity. CPU is of all processes of the server. Median of the rounds, with their range.
"""

_NOT_MEASURED = """\
*On uvicorn*: the same server with `--http-server uvicorn`. Refusals that an oracle would have served, and what a
request costs with many waiting, stand in [scheduling.md](scheduling.md). On a GPU:
[gpu.md](gpu.md). Not measured: stores and caches.
"""

_CHANGES = Path(__file__).with_name("changes.md")  # written by hand


def render(whole: Mapping[str, Any], folder: Path) -> str:
    """Write `folder`/performance.md and its plots; give the budgets as text."""
    charts.goodput(whole, folder / "img" / "goodput.svg")
    charts.efficiencies(whole, folder / "img" / "efficiency.svg")
    budgets = _budgets(whole)
    parts = [
        _HEAD,
        _conditions(whole),
        "## Budgets\n",
        budgets,
        _NOT_MEASURED,
        "![Served of the roof, at 32 connections](img/efficiency.svg)\n",
        "## Overload\n",
        "![Goodput against the offered rate](img/goodput.svg)\n",
        "## Every figure\n",
        _READING,
        *(_work(work, whole["method"]["factors"]) for work in whole["works"].values()),
        _CHANGES.read_text(),
    ]
    (folder / "performance.md").write_text("\n".join(parts).rstrip() + "\n")
    return budgets


def _conditions(whole: Mapping[str, Any]) -> str:
    method, machine = whole["method"], whole["machine"]
    rounds, seconds = method["rounds"], method["seconds"]
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    lines.append(f"- {whole['when'][:10]}, {rounds} round{'s' * (rounds > 1)}, windows of {seconds:g} s")
    text = "\n".join(lines) + "\n"
    if method["quick"]:
        text += "\nA quick run: one short round. Take its figures as a first look.\n"
    if (worst := _disturbance(whole)) > DISTURBED:
        text += (
            f"\n**Disturbed**: others used up to {worst:.0%} of the machine meanwhile. Ratios within a round bear some"
            " of that, absolute figures do not.\n"
        )
    return text


def _disturbance(whole: Mapping[str, Any]) -> float:
    """The largest share of the machine that anyone else used."""
    return max((figures.others(work["rounds"]) for work in whole["works"].values()), default=0.0)


def _budgets(whole: Mapping[str, Any]) -> str:
    second = {one.name: one for one in figures.budgets(whole, "uvicorn")}
    rows = [["figure", "budget", "measured", "", "on uvicorn", ""]]
    for one in figures.budgets(whole):
        other = second.get(one.name)
        judged = [other.measured, _judged(other)] if other else ["", ""]
        rows.append([one.name, one.limit, one.measured, _judged(one), *judged])
    return _table(rows)


def _judged(one: Budget) -> str:
    if one.kept is None:
        return "**no figure**"
    return ("met" if one.kept else "**missed**") + ", disturbed" * one.disturbed


def _work(work: Mapping[str, Any], factors: Sequence[float]) -> str:
    names = ["roof", *CONTENDERS]
    rows = [["", "roof", *(one.title for one in CONTENDERS.values())]]

    def add(title: str, measure: Measure, form: str, scale: float = 1.0) -> None:
        rows.append([title, *(_cell(_safe(work, measure, name), form, scale) for name in names)])

    add("c32, images/s", figures.rate, "{:,.1f}")
    add("... of the roof", _not_the_roof(figures.efficiency), "{:.3f}")
    add("... CPU an image, ms", figures.cpu_each, "{:.2f}", 1000)
    add("... p50, ms", figures.latency("c32", "p50"), "{:,.1f}", 1000)
    add("... p99, ms", figures.latency("c32", "p99"), "{:,.1f}", 1000)
    add("one connection, p50, ms", figures.lone, "{:.2f}", 1000)
    for factor in factors:
        stage = f"x{factor:g}"
        if factor < 1:
            add(f"{factor:g}x, p50, ms", figures.latency(stage, "p50"), "{:,.1f}", 1000)
            add(f"{factor:g}x, p99, ms", figures.latency(stage, "p99"), "{:,.1f}", 1000)
        add(f"{factor:g}x, good of capacity", figures.good_of_capacity(stage), "{:.3f}")
    add("memory, MB", figures.memory, "{:,.0f}", 1e-6)
    title = f"### {work['title']} ({work['picture_bytes'] / 1000:,.0f} KB, SLO {work['slo_s'] * 1000:g} ms)\n"
    return f"{title}\n{_table(rows)}{_flaws(work)}"


def _safe(work: Mapping[str, Any], measure: Measure, name: str) -> Figure | None:
    known = [one for one in work["rounds"] if "flaw" not in one[name] and "flaw" not in one["roof"]]
    return figure(known, measure, name)


def _not_the_roof(measure: Measure) -> Measure:
    return lambda one, name: None if name == "roof" else measure(one, name)


def _flaws(work: Mapping[str, Any]) -> str:
    """What has no figure, and why."""
    lines = []
    for number, one in enumerate(work["rounds"], 1):
        for name, part in one.items():
            title = CONTENDERS[name].title if name in CONTENDERS else name
            if "flaw" in part:
                lines.append(f"- Round {number}, {title}: no figure: {part['flaw']}")
            for stage, what in part.items():
                if isinstance(what, dict) and "flaw" in what:
                    lines.append(f"- Round {number}, {title}, {stage}: no figure: {what['flaw']}")
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def _cell(found: Figure | None, form: str, scale: float) -> str:
    if not found:
        return "-"
    median, least, most = (form.format(value * scale) for value in (found.median, found.least, found.most))
    return median if least == most else f"{median} ({least} to {most})"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def main(argv: Sequence[str]) -> int:
    print(render(json.loads(Path(argv[0]).read_text()), Path(__file__).parents[1] / "docs"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
