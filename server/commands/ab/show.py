"""The report of an experiment as text and as a page. Pure."""

from collections.abc import Sequence

from server.commands import charts
from server.experiments.report import Comparison, Report

_ARMS = ("arm", "share", "clients", "with outcome", "mean", "deviation")
_COMPARISONS = ("against control", "difference", "low", "high", "verdict", "to be found", "needs", "days left")


def as_text(report: Report) -> str:
    """Two tables, and what is wrong."""
    parts = [f"{report.experiment}: {report.metric}, {report.days} days\n", _aligned(_ARMS, _arm_rows(report))]
    parts += ["\n", _aligned(_COMPARISONS, _comparison_rows(report)), "\n"]
    parts += [f"{line}\n" for line in notes(report)]
    return "".join(parts)


def as_page(report: Report) -> str:
    """The same with a plot of the difference over the days."""
    parts = [charts.paragraph(line, "bad" if report.mismatched else "") for line in notes(report)]
    parts += [charts.table(_ARMS, _arm_rows(report)), charts.table(_COMPARISONS, _comparison_rows(report))]
    for one in report.comparisons:
        if one.looks:
            caption = f"{one.arm} less control, by the end of each day, with bounds that hold on all days together"
            points = [(look.low, look.estimate, look.high) for look in one.looks]
            parts.append(charts.intervals(caption, [look.day[5:] for look in one.looks], points))
    return charts.page(f"{report.experiment}: {report.metric}", parts)


def notes(report: Report) -> list[str]:
    """What a reader must know before they believe a number."""
    lines = []
    if report.mismatched:
        lines.append(
            f"Sample-ratio mismatch (p = {report.mismatch_p:.2g}): the arms have not the shares of the card, so"
            " assignment or records are broken. Believe no difference."
        )
    else:
        lines.append(f"The arms have their shares (p = {report.mismatch_p:.2g}).")
    if report.crossed:
        lines.append(f"{report.crossed} clients were in several arms and are left out: shares or salt were changed.")
    return lines


def _arm_rows(report: Report) -> list[tuple[str, ...]]:
    return [
        (
            arm.name, f"{arm.share:.1%}", f"{arm.units:,}", f"{arm.measured:,}", f"{arm.mean:.5g}",
            f"{arm.deviation:.3g}",
        )
        for arm in report.arms
    ]  # fmt: skip


def _comparison_rows(report: Report) -> list[tuple[str, ...]]:
    return [_comparison_row(one) for one in report.comparisons]


def _comparison_row(one: Comparison) -> tuple[str, ...]:
    bounds = (one.estimate, one.low, one.high)
    numbers = tuple("-" if value is None else f"{value:+.4g}" for value in bounds)
    left = "-" if one.days_left is None else f"{one.days_left:.1f}"
    return (one.arm, *numbers, one.verdict, f"{one.effect:.3g}", f"{one.units_needed:,}", left)


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "".join(f"{line}\n" for line in lines)
