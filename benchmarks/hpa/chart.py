"""The runs as one plot: what is offered, how many pods there are, and what is refused."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks.hpa.world import Run
from server.commands.bench.plots import STYLE

_OFFERED, _PODS, _READY, _REFUSED = "#8a929b", "#57a3d9", "#0b4f8a", "#b3261e"
_POINTS = 240  # per line


def draw(runs: Mapping[str, Run], path: Path) -> None:
    """A panel per traffic."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "hpa"}):
        sheet = Figure(figsize=(7.6, 3.0), layout="constrained")
        for axes, (name, run) in zip(sheet.subplots(1, len(runs)), runs.items(), strict=True):
            step = max(1, len(run.pods) // _POINTS)
            hours = len(run.pods) > 4 * 3600
            at = [second / (3600 if hours else 60) for second in range(0, len(run.pods), step)]
            refused = [max(0.0, one - good) for one, good in zip(run.offered, run.answered, strict=True)]
            axes.fill_between(at, refused[::step], color=_REFUSED, label="refused", linewidth=0)
            axes.plot(at, run.offered[::step], color=_OFFERED, linewidth=0.8, label="offered, in pods' capacity")
            axes.step(at, run.pods[::step], color=_PODS, linewidth=1.0, where="post", label="pods")
            axes.step(at, run.ready[::step], color=_READY, linewidth=1.4, where="post", label="pods ready")
            axes.set_title(name, fontsize=9, loc="left")
            axes.set_xlabel("hours" if hours else "minutes", fontsize=8)
            axes.set_ylim(0, None)
        handles, labels = axes.get_legend_handles_labels()
        sheet.legend(handles, labels, loc="outside upper left", ncols=len(labels), fontsize=8)
        path.parent.mkdir(exist_ok=True)
        sheet.savefig(path, format="svg", metadata={"Date": None})
