"""Layouts as a picture. Needs matplotlib, the extra `report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from server.fleet.layout.choose import Layout, Row

_SIZE = (9.0, 3.6)  # inches
_STYLE = {"svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True}


def draw(file: Path, title: str, rows: Sequence[Row], chosen: Row) -> None:
    """Images per second and time per batch, over the batch size, a line per layout. Raises `OSError`."""
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]  # its keys are a Literal of hundreds
        figure = Figure(figsize=_SIZE, layout="constrained")
        figure.suptitle(title)
        rate, latency = figure.subplots(1, 2)
        for layout in dict.fromkeys(row.layout for row in rows):
            _line(rate, latency, layout, [row for row in rows if row.layout == layout], layout == chosen.layout)
        rate.plot([chosen.batch], [chosen.rate], "o", markersize=12, fillstyle="none", color="black", label="chosen")
        _finish(rate, "images per second")
        _finish(latency, "ms per batch")
        figure.savefig(file)


def _line(rate: Axes, latency: Axes, layout: Layout, rows: Sequence[Row], chosen: bool) -> None:
    sizes, width = [row.batch for row in rows], 2.6 if chosen else 1.4
    rate.plot(sizes, [row.rate for row in rows], "o-", linewidth=width, label=str(layout))
    latency.plot(sizes, [row.batch_s * 1e3 for row in rows], "o-", linewidth=width)


def _finish(axes: Axes, what: str) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("images per batch")
    axes.set_ylabel(what)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
