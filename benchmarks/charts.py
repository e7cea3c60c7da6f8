"""The comparison as two small plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.contenders import CONTENDERS
from benchmarks.figures import efficiency, figure, good_of_capacity
from server.commands.bench.plots import STYLE

_COLOURS = {"tureen": "#0b4f8a", "uvicorn": "#4fa3d9", "usual": "#c2700a", "tuned": "#6b8f3c"}
_MARKERS = {"tureen": "o", "uvicorn": "D", "usual": "s", "tuned": "^"}


def goodput(whole: Mapping[str, Any], path: Path) -> None:
    """Goodput over capacity, against the offered rate over capacity: a panel a work."""
    works, factors = whole["works"], whole["method"]["factors"]
    columns = min(2, len(works))
    with matplotlib.rc_context(STYLE):
        rows = -(-len(works) // columns)
        sheet = Figure(figsize=(7.6, 0.6 + 2.5 * rows), layout="constrained")
        panels = sheet.subplots(rows, columns, squeeze=False, sharey=True)
        most = 1.15
        for axes in panels.flat[len(works) :]:
            axes.set_visible(False)
        for axes, (title, work) in zip(panels.flat, works.items(), strict=False):
            axes.set_title(f"{title}, SLO {work['slo_s'] * 1000:g} ms", fontsize=9, loc="left")
            axes.plot([min(factors), 1, max(factors)], [min(factors), 1, 1], ":", color="#8a929b", linewidth=1.2)
            for name in CONTENDERS:
                found = [(factor, figure(work["rounds"], good_of_capacity(f"x{factor:g}"), name)) for factor in factors]
                known = [(factor, one.median) for factor, one in found if one]
                most = max([most, *(value for _, value in known)])
                if known:
                    axes.plot(*zip(*known, strict=True), marker=_MARKERS[name], markersize=5, color=_COLOURS[name])
            axes.set_xscale("log")
            axes.set_xticks(factors, [f"{factor:g}x" for factor in factors])
            axes.minorticks_off()
        panels[0][0].set_ylim(-0.03, most * 1.05)  # all share it
        sheet.supxlabel("offered, of what it serves at 32 connections", fontsize=9)
        sheet.supylabel("good, of the same", fontsize=9)
        handles = [
            Line2D([], [], marker=_MARKERS[name], markersize=5, color=_COLOURS[name], label=one.title)
            for name, one in CONTENDERS.items()
        ]
        sheet.legend(handles=handles, loc="outside upper left", ncols=len(handles))
        _save(sheet, path)


def efficiencies(whole: Mapping[str, Any], path: Path) -> None:
    """What each serves as a share of the ceiling at 32 connections."""
    works = list(whole["works"].values())
    with matplotlib.rc_context(STYLE):
        sheet = Figure(figsize=(7.6, 2.9), layout="constrained")
        axes = sheet.add_subplot()
        width = 0.8 / len(CONTENDERS)
        for number, (name, contender) in enumerate(CONTENDERS.items()):
            found = [figure(work["rounds"], efficiency, name) for work in works]
            where = [at + (number - (len(CONTENDERS) - 1) / 2) * width for at in range(len(works))]
            heights = [one.median if one else 0.0 for one in found]
            axes.bar(where, heights, width * 0.92, color=_COLOURS[name], label=contender.title)
            for x, one in zip(where, found, strict=True):
                axes.annotate(f"{one.median:.2f}" if one else "none", (x, one.median if one else 0), ha="center",
                              va="bottom", fontsize=8)  # fmt: skip
        for at, work in enumerate(works):
            if work["least_efficiency"]:
                axes.plot([at - 0.45, at + 0.45], [work["least_efficiency"]] * 2, "--", color="#b3261e", linewidth=1.2)
        axes.set_xticks(range(len(works)), list(whole["works"]))
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("share of the ceiling")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.1)
        _save(sheet, path)


def _save(sheet: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
        sheet.savefig(path, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
