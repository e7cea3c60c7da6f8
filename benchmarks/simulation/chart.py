"""The sweep as one plot: goodput against the oracle's, and the two promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.simulation.machines import MACHINES
from benchmarks.simulation.score import Score
from server.commands.bench.plots import STYLE

_COLOURS = ("#0b4f8a", "#57a3d9", "#c2700a", "#4d7c2f", "#7a4aa0", "#555555")
_MARKERS = "osv^Dx"


def draw(scores: Sequence[Score], path: Path) -> None:
    """Poisson arrivals of one kind of image: a line a machine."""
    plain = [one for one in scores if (one.case.pattern, one.case.mix, one.case.trouble) == ("poisson", "same", "none")]
    with matplotlib.rc_context(STYLE):
        sheet = Figure(figsize=(7.6, 3.4), layout="constrained")
        left, middle, right = sheet.subplots(1, 3)
        _lines(left, plain, lambda one: one.goodput, "in time, of the oracle's", (0.0, 1.05))
        _lines(middle, plain, lambda one: one.kept * 100, "% in time of the admitted", (95.0, 100.2))
        _lines(right, plain, lambda one: one.wrongly_refused * 100, "% wrongly turned away", (-0.2, 8.0))
        middle.axhline(99.0, color="#b3261e", linestyle="--", linewidth=1.0)
        right.axhline(2.0, color="#b3261e", linestyle="--", linewidth=1.0)
        sheet.supxlabel("offered load, of what the machine can do", fontsize=9)
        handles, labels = left.get_legend_handles_labels()
        sheet.legend(handles, labels, loc="outside upper left", ncols=len(labels))
        path.parent.mkdir(exist_ok=True)
        sheet.savefig(path, format="svg", metadata={"Date": None})


def _lines(axes: Axes, scores: Sequence[Score], value: Callable[[Score], float], title: str, limits: tuple) -> None:
    for name, colour, marker in zip(MACHINES, _COLOURS, _MARKERS, strict=True):
        mine = [one for one in scores if one.case.machine == name]
        xs, ys = [one.case.factor for one in mine], [value(one) for one in mine]
        axes.plot(xs, ys, color=colour, marker=marker, markersize=4, label=name)
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 5, 10], ["0.5x", "1x", "2x", "5x", "10x"])
    axes.minorticks_off()
    axes.set_ylim(*limits)
    axes.set_title(title, fontsize=9, loc="left")
