"""From rounds to figures, and figures beside their budgets. Pure: measures nothing.

A figure is the median of the rounds' own figures, never a quotient of medians: roof and server are compared
within a round, where they met the same machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

CPU_ABOVE_S = 0.00035  # the most CPU a request may cost more than on the roof
LONE_ABOVE_S = 0.0006  # the most a lone request may take longer than in-process
_DISTURBED = 0.05  # of the box, used by others: from here on the figures are called disturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: roof and server, one after the other. Rates in images/s, times in seconds."""

    roof_rate: float
    roof_cpu_s: float  # an image
    roof_others: float  # share of the box
    served_rate: float
    served_cpu_s: float  # a request, all processes of the server
    served_others: float  # share of the box
    client_share: float  # share of the box
    p50_s: float
    p99_s: float
    bare_p50_s: float
    lone_p50_s: float

    @property
    def efficiency(self) -> float:
        """What is served of what the roof could do with the CPU that the load generator leaves."""
        return self.served_rate / (self.roof_rate * (1 - self.client_share))

    @property
    def cpu_above_s(self) -> float:
        return self.served_cpu_s - self.roof_cpu_s

    @property
    def lone_above_s(self) -> float:
        return self.lone_p50_s - self.bare_p50_s

    @property
    def others(self) -> float:
        return max(self.roof_others, self.served_others)


@dataclass(frozen=True, slots=True)
class Measured:
    """A work's rounds."""

    title: str
    picture_bytes: int
    batch: int  # of the roof
    least_efficiency: float | None
    rounds: Sequence[Round]


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    unit: str
    value: Callable[[Round], float]
    scale: float = 1.0
    digits: int = 0


_FIGURES = (
    _Figure("roof", "img/s", lambda one: one.roof_rate, digits=1),
    _Figure("served, 32 connections", "img/s", lambda one: one.served_rate, digits=1),
    _Figure("... p50", "ms", lambda one: one.p50_s, 1000, 1),
    _Figure("... p99", "ms", lambda one: one.p99_s, 1000, 1),
    _Figure("client's share of the box", "%", lambda one: one.client_share, 100, 1),
    _Figure("efficiency", "", lambda one: one.efficiency, digits=3),
    _Figure("CPU an image, roof", "ms", lambda one: one.roof_cpu_s, 1000, 3),
    _Figure("CPU a request, server", "ms", lambda one: one.served_cpu_s, 1000, 3),
    _Figure("CPU above the ceiling", "ms", lambda one: one.cpu_above_s, 1000, 3),
    _Figure("lone p50, in-process", "ms", lambda one: one.bare_p50_s, 1000, 3),
    _Figure("lone p50, served", "ms", lambda one: one.lone_p50_s, 1000, 3),
    _Figure("lone above in-process", "ms", lambda one: one.lone_above_s, 1000, 3),
    _Figure("others' share of the box", "%", lambda one: one.others, 100, 1),
)


def table(measured: Measured) -> str:
    """The work's figures as a Markdown table that reads as well unrendered."""
    rows = [["figure", "median", "rounds", "budget", ""]]
    rows += [_row(figure, measured) for figure in _FIGURES]
    size = f"{measured.picture_bytes / 1000:.0f} KB"
    text = f"### {measured.title} ({size}; roof at batch {measured.batch})\n\n{aligned(rows)}"
    if max(one.others for one in measured.rounds) > _DISTURBED:
        text += "\n\nDisturbed: other processes used more of the box than the figures can bear."
    return text


def as_json(measured: Measured) -> Mapping[str, object]:
    """Everything about the work, raw rounds included; units as the names say."""
    derived = ("efficiency", "cpu_above_s", "lone_above_s")
    return {
        **asdict(measured),
        "medians": {name: statistics.median(getattr(one, name) for one in measured.rounds) for name in derived},
    }


def _row(figure: _Figure, measured: Measured) -> list[str]:
    values = sorted(figure.value(one) for one in measured.rounds)
    median = statistics.median(values)
    spread = f"{_shown(values[0], figure)} to {_shown(values[-1], figure)}"
    unit = f" {figure.unit}" if figure.unit else ""
    return [figure.name, _shown(median, figure) + unit, spread, *_budget(figure, median, measured)]


def _budget(figure: _Figure, median: float, measured: Measured) -> tuple[str, str]:
    """The budget, and whether it is kept; neither where there is none."""
    most = {"CPU above the ceiling": CPU_ABOVE_S, "lone above in-process": LONE_ABOVE_S}
    if figure.name in most:
        limit = most[figure.name]
        return f"<= {limit * figure.scale:g} {figure.unit}", _verdict(median <= limit)
    if figure.name == "efficiency" and measured.least_efficiency is not None:
        return f">= {measured.least_efficiency:g}", _verdict(median >= measured.least_efficiency)
    return "", ""


def _verdict(kept: bool) -> str:
    return "kept" if kept else "MISSED"


def _shown(value: float, figure: _Figure) -> str:
    return f"{value * figure.scale:,.{figure.digits}f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that reads as well unrendered; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
