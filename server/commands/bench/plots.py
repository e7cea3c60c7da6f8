"""Trials as plots, each an SVG to stand within a page. Needs matplotlib, the extra `report`.

Figures are narrow, so that their letters can be read on a phone, and use colours that differ in grey too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from server.commands.bench.measure import Trial
from server.commands.bench.stats import curve, timeline
from server.commands.bench.view import short_title

_SIZE = (4.7, 3.1)  # inches
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "axes.edgecolor": "#8a929b",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}
DARK, LIGHT, ALARM = "#0b4f8a", "#57a3d9", "#b3261e"
_SHADES = ("#0b4f8a", "#57a3d9", "#c2700a", "#4d7c2f", "#7a4aa0", "#555555")
_DECADE = 10
_QUANTILES = (0.5, 0.9, 0.99, 0.999)
_CURVE = [1 - 10 ** (-step / 40) for step in range(13, 161)]  # 0.53 to 0.9999


def latency_over_time(trial: Trial) -> str:
    """p50 and p99 of what was due in each slice, and the SLO."""
    load = trial.run.load
    bins = timeline(trial.run.rows, trial.summary.window_s, load.slo_s)

    def draw(axes: Axes) -> None:
        starts = [one.start for one in bins]
        for name, colour in (("p99", LIGHT), ("p50", DARK)):
            values = [getattr(one, name) for one in bins]
            axes.plot(
                starts, [float("nan") if v is None else v * 1000 for v in values], color=colour, marker=".", label=name
            )
        axes.axhline(load.slo_s * 1000, color=ALARM, linestyle="--", linewidth=1.2, label="SLO")
        _log_ms(axes)
        axes.set_xlabel("second of the run in which it was due")
        axes.set_ylabel("latency of 200s, ms")
        _legend(axes, 3)

    return svg(draw, "time")


def percentiles(trials: Sequence[Trial]) -> str:
    """The latency that each share of the answers stays below."""

    def draw(axes: Axes) -> None:
        for trial, colour in zip(trials, _SHADES, strict=False):
            count = trial.summary.ok
            points = [one for one in _CURVE if count * (1 - one) >= 1] or _CURVE[:1]
            values = curve(trial.run.rows, trial.summary.window_s, points)
            where = [1 / (1 - one) for one in points[: len(values)]]
            axes.plot(where, [v * 1000 for v in values], color=colour, label=short_title(trial.run.load))
        axes.axhline(trials[0].run.load.slo_s * 1000, color=ALARM, linestyle="--", linewidth=1.2)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([1 / (1 - one) for one in _QUANTILES]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 - 100 / x:.4g} %"))
        axes.xaxis.set_minor_locator(NullLocator())
        _log_ms(axes)
        axes.set_xlabel("share of the 200s that were faster")
        axes.set_ylabel("latency, ms")
        _legend(axes, 4)

    return svg(draw, "percentiles")


def against_offered(trials: Sequence[Trial]) -> str:
    """Throughput and goodput of each run, against its offered rate."""
    ordered = sorted(trials, key=lambda one: one.summary.offered_rate)

    def draw(axes: Axes) -> None:
        offered = [one.summary.offered_rate for one in ordered]
        rates = [one.summary.rate for one in ordered]
        good = [one.summary.goodput for one in ordered]
        axes.plot([0, max(offered)], [0, max(offered)], color="#8a929b", linestyle=":", linewidth=1.2, label="offered")
        axes.plot(offered, rates, marker="s", markersize=5, color=LIGHT, label="answered 200")
        axes.plot(offered, good, marker="o", markersize=5, color=DARK, label="good")
        axes.set_xlim(0)
        axes.set_ylim(0, max(max(rates), max(good), 1) * 1.25)
        axes.set_xlabel("offered, images/s")
        axes.set_ylabel("images/s")
        _legend(axes, 3)

    return svg(draw, "offered")


def batch_sizes(trial: Trial) -> str:
    """Which share of the images was answered in a batch of which size."""
    batches = sorted(trial.summary.batches.items())
    total = sum(count for _, count in batches)

    def draw(axes: Axes) -> None:
        sizes = [size for size, _ in batches]
        axes.bar(sizes, [100 * count / total for _, count in batches], color=DARK, width=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(0.4, max(max(sizes), 4) + 0.6)
        axes.set_xlabel("images in the batch")
        axes.set_ylabel("% of the images")
        axes.grid(visible=False, axis="x")

    return svg(draw, "batches")


def svg(draw: Callable[[Axes], None], name: str, size: tuple[float, float] = _SIZE) -> str:
    """What `draw` draws, as an `<svg>` element without a size of its own; `name` keeps its ids apart."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)


def _log_ms(axes: Axes) -> None:
    """Logarithmic, with numbers at 1, 2 and 5, and at every step where the whole is less than a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    digits = "25" if high / low > _DECADE else "23456789"
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.4g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda y, _: f"{y:,.4g}" if f"{y:e}"[0] in digits else ""))


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.1, columnspacing=1.2)
