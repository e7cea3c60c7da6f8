"""The drift of a model as text and as a page. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from server.commands import charts
from server.drift.view import VersionView

_COLUMNS = ("feature", "reference", "last window", "PSI", "p", "")
_LARGE = 0.25  # of the population stability index, by convention


def as_text(name: str, versions: Sequence[VersionView]) -> str:
    """A table per version."""
    if not versions:
        return f"{name}: no image of it has been looked at yet\n"
    parts = []
    for one in versions:
        parts.append(f"{name} {one.version}: {state(one)}\n")
        for row in (_COLUMNS, *_rows(one)) if one.shifts else ():
            widths = (16, 12, 12, 8, 10)
            cells = "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
            parts.append(f"  {cells}{row[-1]}".rstrip() + "\n")
    return "".join(parts)


def as_page(name: str, versions: Sequence[VersionView]) -> str:
    """The same with plots: the distributions, and the index over the windows."""
    parts = []
    for one in versions:
        parts.append(charts.paragraph(f"Version {one.version}: {state(one)}", "bad" if one.since else ""))
        if one.shifts:
            parts.append(charts.table(_COLUMNS, _rows(one)))
        for bars in one.bars:
            caption = f"{bars.feature}: reference (grey) and last window (blue)"
            parts.append(charts.bars(caption, bars.labels, bars.reference, bars.window))
        if len(one.windows) > 1:
            times = [f"{datetime.fromtimestamp(window.at, UTC):%H:%M}" for window in one.windows]
            highest = [max(window.psi.values(), default=0.0) for window in one.windows]
            parts.append(charts.lines("Highest stability index per window", times, highest, _LARGE))
    return charts.page(f"Drift of {name}", parts or [charts.paragraph("No image has been looked at yet.")])


def state(one: VersionView) -> str:
    """In a sentence."""
    if one.collecting:
        return f"a reference is being made; {one.collecting:,} images to come"
    if not one.made:
        return "no reference: make one with `tureen drift reference`"
    if one.since:
        return f"DRIFT since {datetime.fromtimestamp(one.since, UTC):%Y-%m-%d %H:%M} UTC"
    seen = f"{len(one.windows)} windows of {one.window} images compared" if one.windows else "no window is full yet"
    return f"no drift; {seen}, {one.filled} images in the next"


def _rows(one: VersionView) -> list[tuple[str, ...]]:
    return [
        (
            shift.feature, f"{shift.reference_mean:.4g}", f"{shift.window_mean:.4g}", f"{shift.psi:.3f}",
            f"{shift.p:.2g}", shift.detail or ("shifted" if shift.shifted else ""),
        )
        for shift in one.shifts
    ]  # fmt: skip
