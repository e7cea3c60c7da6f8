"""What a person sees of `tureen optimize`: a table when it is done."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from server.commands.optimize.options import Options
from server.optimize import report as reports
from server.optimize.choose import LEAST_GAIN
from server.optimize.gate import with_calibration
from server.optimize.report import ORIGINAL, Report, Step
from server.statistics.exact import trials_needed

COLUMNS = ("", "agree", "images/s", "gain", "alone", "capacity", "size", "load", "memory", "")
_WIDTH = 140


def show(options: Options, report: Report, written: Path | None) -> None:
    """The report on standard output."""
    if options.json:
        print(reports.dump(report).decode(), end="")
        return
    out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_WIDTH)
    out.print(f"{report.model} {report.original} on {report.machine['cpu']}, one thread\n", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name else "left", no_wrap=bool(name))
    for row in rows(report):
        table.add_row(*row, style="bold" if report.chosen and row[0] == report.chosen else "")
    out.print(table)
    for line in conclusion(options, report, written):
        out.print(line, markup=False, soft_wrap=True)


def rows(report: Report) -> list[tuple[str, ...]]:
    """The table's."""
    return [_row(step, step.name == report.chosen) for step in report.steps]


def conclusion(options: Options, report: Report, written: Path | None) -> list[str]:
    """What was decided, and what to do."""
    lines = [""]
    if report.held_out:
        found = report.held_out
        lines.append(
            f"On held-out pictures: top-k overlap {found.top_k:.1%}, rank correlation {found.correlation:.3f}, mean"
            f" difference {found.mean:.2g}, largest {found.largest:.2g}."
        )
    if report.reason:
        lines.append(f"{report.reason}.")
    if not report.least:
        lines.append("No agreement was asked for (--agree 0): nothing is claimed about the answers.")
    if not options.calibrate and not options.recipe:
        held_out = trials_needed(1.0, options.agree) or 1
        lines.append(
            f"INT8 was not tried: --calibrate FOLDER needs pictures, at least {with_calibration(held_out):,} to show"
            f" {options.agree:.4g} agreement."
        )
    lines += [
        f"{step.name}: gains nothing; ONNX Runtime multiplies zeros like other numbers."
        for step in report.steps
        if step.name.endswith("weights zero") and step.speed and step.speed.gain < LEAST_GAIN
    ]
    joules = {step.name: step.speed.joules for step in report.steps if step.speed and step.speed.joules}
    if joules:
        lines.append(", ".join(f"{name}: {used:.3g} J per image" for name, used in joules.items()) + ".")
    if report.golden_tolerance is not None:
        lines.append(f"Golden images: tolerance {report.golden_tolerance:g} for this version.")
    lines.append(f"Written: {written}" if written else "Nothing was written.")
    return lines


def _row(step: Step, chosen: bool) -> tuple[str, ...]:
    agree = f"{step.agreement.share:.1%}" if step.agreement else "-" if step.name != ORIGINAL else ""
    note = "chosen" if chosen else step.note
    speed = step.speed
    if speed is None:
        return (step.name, agree, "", "", "", "", "", "", "", note)
    return (
        step.name, agree, f"{1 / speed.batch_s:.4g}", f"{speed.gain:.2f}x", f"{speed.latency_s * 1e3:.3g} ms",
        f"{speed.capacity:.4g}", f"{speed.size / 1e6:.1f} MB", f"{speed.load_s * 1e3:.0f} ms",
        f"{speed.memory / 1e6:.0f} MB", note,
    )  # fmt: skip
