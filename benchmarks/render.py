"""docs/performance.md from a comparison's JSON: `python -m benchmarks.render benchmarks/results/compare.json`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import charts, figures
from benchmarks.contenders import CONTENDERS
from benchmarks.figures import DISTURBED, Budget, Figure, Measure, figure

_HEAD = """\
# Performance

`make bench` compares Tureen with the ceiling, which is the same work with no server, and with the same models behind
FastAPI. One FastAPI server is written as most teams write it, the other is tuned. It writes this page;
[benchmarks/README.md](../benchmarks/README.md) describes the method. Measure your own server with
[`tureen bench`](bench.md). GPUs: [gpu.md](gpu.md).
"""

_READING = """\
Medians of the rounds at 32 connections that each send again when answered. In brackets: the share of the ceiling, which
is decoding and model in one process per core, without a server. The 32-connection rate is a server's *capacity*.
"""

_OVERLOAD = """\
The next table offers twice the capacity, as Poisson arrivals. It shows *good* images as a share of capacity: answered
correctly within the deadline, counted from the time the request should have been sent.
"""

_REST = """\
The raw file `benchmarks/results/compare.json` has every figure: latencies, CPU and memory of each round and load. What
each change of the server gained is in [measurements/changes.md](measurements/changes.md).
"""


def render(whole: Mapping[str, Any], folder: Path) -> str:
    """Write `folder`/performance.md and its plots; return the budgets as text."""
    charts.goodput(whole, folder / "img" / "goodput.svg")
    charts.efficiencies(whole, folder / "img" / "efficiency.svg")
    budgets = _budgets(whole)
    parts = [
        _HEAD,
        _conditions(whole),
        "## Budgets\n",
        budgets,
        "## Throughput\n",
        _READING,
        _table(_throughput(whole["works"])),
        "![Throughput as a share of the ceiling, at 32 connections](img/efficiency.svg)\n",
        "## Overload\n",
        _OVERLOAD,
        _table(_at_twice_the_capacity(whole["works"])),
        "![Goodput against the offered rate](img/goodput.svg)\n",
        _flaws(whole["works"]),
        _REST,
    ]
    (folder / "performance.md").write_text("\n".join(filter(None, parts)).rstrip() + "\n")
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
    rows = [["figure", "budget", "hypercorn", "uvicorn"]]
    for one in figures.budgets(whole):
        other = second.get(one.name)
        rows.append([one.name, one.limit, _judged(one), _judged(other) if other else ""])
    return _table(rows)


def _judged(one: Budget) -> str:
    if one.kept is None:
        return "**no figure**"
    return (one.measured if one.kept else f"{one.measured} **missed**") + " (disturbed)" * one.disturbed


def _throughput(works: Mapping[str, Any]) -> list[list[str]]:
    rows = [["images/s", "ceiling", *(one.title for one in CONTENDERS.values())]]
    for work in works.values():
        ceiling = _median(_known(work, figures.rate, "roof"), "{:,.1f}")
        cells = [
            f"{_median(_known(work, figures.rate, name), '{:,.1f}')}"
            f" ({_median(_known(work, figures.efficiency, name), '{:.2f}')})"
            for name in CONTENDERS
        ]
        rows.append([_title(work), ceiling, *cells])
    return rows


def _at_twice_the_capacity(works: Mapping[str, Any]) -> list[list[str]]:
    rows = [["good at 2x", *(one.title for one in CONTENDERS.values())]]
    for work in works.values():
        cells = (_median(_known(work, figures.good_of_capacity("x2"), name), "{:.2f}") for name in CONTENDERS)
        rows.append([_title(work), *cells])
    return rows


def _title(work: Mapping[str, Any]) -> str:
    return f"{work['title']}, deadline {work['slo_s'] * 1000:g} ms"


def _known(work: Mapping[str, Any], measure: Measure, name: str) -> Figure | None:
    known = [one for one in work["rounds"] if "flaw" not in one[name] and "flaw" not in one["roof"]]
    return figure(known, measure, name)


def _flaws(works: Mapping[str, Any]) -> str:
    """What has no figure, in how many rounds, and why."""
    flaws = Counter(flaw for work in works.values() for one in work["rounds"] for flaw in _flaws_of_round(one))
    lines = [f"- {flaw} (rounds: {count})" for flaw, count in flaws.items()]
    return "No figure:\n\n" + "\n".join(lines) + "\n" if lines else ""


def _flaws_of_round(one: Mapping[str, Any]) -> Iterator[str]:
    for name, part in one.items():
        title = CONTENDERS[name].title if name in CONTENDERS else name
        if "flaw" in part:
            yield f"{title}: {part['flaw']}"
        for stage, what in part.items():
            if isinstance(what, dict) and "flaw" in what:
                yield f"{title}, {stage}: {what['flaw']}"


def _median(found: Figure | None, form: str) -> str:
    return form.format(found.median) if found else "-"


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
