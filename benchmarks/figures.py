"""From the rounds of a comparison to figures, and figures beside their budgets. Pure: measures nothing.

A figure is the median of the rounds' own; what compares two contenders is computed within a round. Where a round
has no such figure (a flaw, a stage not reached), it is left out, and a figure without any round is None.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.report import CPU_ABOVE_S, LONE_ABOVE_S

OWN = "tureen"
DISTURBED = 0.05  # of the box, used by others

Round = Mapping[str, Any]  # contender -> stage -> what it measured
Work = Mapping[str, Any]  # with its rounds
Measure = Callable[[Round, str], float | None]  # of a contender in a round


@dataclass(frozen=True, slots=True)
class Figure:
    """The median, the least and the most of the rounds."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Budget:
    """`kept` is None where nothing was measured. `disturbed`: others used much of the machine while it was."""

    name: str
    limit: str
    measured: str
    kept: bool | None
    disturbed: bool = False


def figure(rounds: Sequence[Round], measure: Measure, name: str) -> Figure | None:
    """`measure` of the contender called `name`, over the rounds."""
    values = [value for one in rounds if (value := measure(one, name)) is not None]
    return Figure(statistics.median(values), min(values), max(values)) if values else None


# ---- What can be measured of a contender in a round ----


def rate(one: Round, name: str) -> float | None:
    """200s a second at 32 connections; of the roof, images a second."""
    return one[name].get("rate") if name == "roof" else _at(one, name, "c32", "rate")


def cpu_each(one: Round, name: str) -> float | None:
    """CPU seconds an image."""
    if name == "roof":
        return one[name].get("cpu_s")
    used, answered = _stage(one, name, "c32").get("cpu_s"), rate(one, name)
    return used / answered if used is not None and answered else None


def lone(one: Round, name: str) -> float | None:
    """Median seconds of one image alone."""
    return one[name].get("lone_s") if name == "roof" else _at(one, name, "c1", "latency", "p50")


def latency(stage: str, quantile: str) -> Measure:
    """Of the 200s, in seconds."""
    return lambda one, name: _at(one, name, stage, "latency", quantile)


def good_of_capacity(stage: str) -> Measure:
    """Goodput over the rate at 32 connections."""

    def measure(one: Round, name: str) -> float | None:
        good, capacity = _at(one, name, stage, "goodput"), rate(one, name)
        return good / capacity if good is not None and capacity else None

    return measure


def kept(stage: str) -> Measure:
    """Good, of what was not refused."""
    return lambda one, name: _at(one, name, stage, "kept_share")


def memory(one: Round, name: str) -> float | None:
    """Bytes, the most of all stages."""
    values = [stage["memory"] for stage in one[name].values() if isinstance(stage, dict) and "memory" in stage]
    return max(values, default=None)


def efficiency(one: Round, name: str) -> float | None:
    """What is served of what the roof could do with the CPU that the load generator leaves."""
    served, roof = rate(one, name), rate(one, "roof")
    share = _stage(one, name, "c32").get("client_share", 0.0)
    return served / (roof * (1 - share)) if served and roof else None


def cpu_above(one: Round, name: str) -> float | None:
    """CPU seconds an image more than on the roof."""
    own, roof = cpu_each(one, name), cpu_each(one, "roof")
    return own - roof if own is not None and roof is not None else None


def lone_above(one: Round, name: str) -> float | None:
    """Seconds more than in-process."""
    own, roof = lone(one, name), lone(one, "roof")
    return own - roof if own is not None and roof is not None else None


def refusal_cpu(stage: str) -> Measure:
    """CPU seconds a refusal, as far as it can be told: what remains when the answered have cost what they do at
    32 connections."""

    def measure(one: Round, name: str) -> float | None:
        there, each = _stage(one, name, stage), cpu_each(one, name)
        if each is None or not there.get("figures") or not there["figures"]["refused"]:
            return None
        window = there["figures"]["window_s"]
        rest = there["cpu_s"] - there["figures"]["ok"] / window * each
        return max(0.0, rest) / (there["figures"]["refused"] / window)

    return measure


def others(rounds: Sequence[Round]) -> float:
    """The largest share of the box that anyone else used."""
    stages = [stage for one in rounds for part in one.values() for stage in (part, *part.values())]
    shares = [stage.get("others_share", stage.get("others", 0.0)) for stage in stages if isinstance(stage, dict)]
    return max(shares, default=0.0)


# ---- Budgets ----


def budgets(whole: Mapping[str, Any], name: str = OWN) -> list[Budget]:
    """All that this comparison can judge, of the contender called `name`."""
    works: Mapping[str, Work] = whole["works"]
    rows = []
    for work in works.values():
        if work["least_efficiency"] is not None:
            title = f"efficiency, {work['title']}"
            rows.append(_least(title, work, name, efficiency, work["least_efficiency"], "{:.3f}"))
    if "tiny" in works:
        rows += _of_a_cheap_model(works["tiny"], name)
    if "resnet50" in works:
        heavy = works["resnet50"]
        rows.append(_least("goodput at 2x, resnet50", heavy, name, good_of_capacity("x2"), 0.95, "{:.3f}"))
        rows.append(_least("goodput at 10x, resnet50", heavy, name, good_of_capacity("x10"), 0.90, "{:.3f}"))
    for work in works.values():
        title = f"in time of the admitted at 2x, {work['title']}"
        rows.append(_least(title, work, name, kept("x2"), 0.99, "{:.2%}"))
    return rows + (_at_rest(whole["rest"]) if name == OWN else [])


def _of_a_cheap_model(tiny: Work, name: str) -> list[Budget]:
    ms = "{:.2f} ms"
    return [
        _most("CPU above the ceiling, tiny", tiny, name, cpu_above, CPU_ABOVE_S * 1000, ms, 1000),
        _most("lone above in-process, tiny", tiny, name, lone_above, LONE_ABOVE_S * 1000, ms, 1000),
        _least("goodput at 2x of capacity, tiny", tiny, name, good_of_capacity("x2"), 0.85, "{:.3f}"),
        _most("CPU of a refusal at 10x, tiny", tiny, name, refusal_cpu("x10"), 0.25, ms, 1000),
    ]


def _at_rest(rest: Mapping[str, float]) -> list[Budget]:
    return [
        _limit("start to ready, demo model", rest["start_s"], 3.0, "{:.2f} s"),
        _limit("CPU when idle, of a core", rest["idle_cpu"], 0.01, "{:.2%}"),
        _limit("memory of the idle web process", rest["web_memory"] / 1e6, 120, "{:.0f} MB"),
    ]


def _least(title: str, work: Work, name: str, measure: Measure, limit: float, form: str) -> Budget:
    found = figure(work["rounds"], measure, name)
    said = form.format(found.median) if found else "no figure"
    kept = found.median >= limit if found else None
    return Budget(title, f">= {limit:g}", said, kept, _disturbed(work, name))


def _most(title: str, work: Work, name: str, measure: Measure, limit: float, form: str, scale: float) -> Budget:
    found = figure(work["rounds"], measure, name)
    if not found:
        return Budget(title, f"<= {form.format(limit)}", "no figure", None)
    return replace(_limit(title, found.median * scale, limit, form), disturbed=_disturbed(work, name))


def _disturbed(work: Work, name: str) -> bool:
    """Whether others were busy beside what a figure comes from: this contender's stages and the roof's."""
    return others([{part: one[part] for part in (name, "roof")} for one in work["rounds"]]) > DISTURBED


def _limit(title: str, value: float, limit: float, form: str) -> Budget:
    return Budget(title, f"<= {form.format(limit)}", form.format(value), value <= limit)


def _stage(one: Round, name: str, stage: str) -> Mapping[str, Any]:
    found = one[name].get(stage)
    return found if isinstance(found, dict) else {}


def _at(one: Round, name: str, stage: str, *path: str) -> float | None:
    there: Any = _stage(one, name, stage).get("figures")
    for part in path:
        there = there.get(part) if isinstance(there, dict) else None
    return there
