"""A rollout as people see it. Pure."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.rollout.view import RolloutView, Side

_MARKS = {"running": ">", "paused": "=", "promoted": "+", "rolled_back": "x"}


def line(now: RolloutView) -> str:
    """In a sentence."""
    what = f"version {now.candidate}"
    match now.phase:
        case "promoted":
            return f"{what} is promoted: it answers all requests"
        case "rolled_back":
            return f"{what} is rolled back: {now.reason}"
        case _:
            place = f"step {now.step + 1} of {len(now.steps)}, {now.steps[now.step]}"
            return f"{what} is {now.phase} at {place}" + (f"; awaits {now.awaited}" if now.awaited else "")


def picture(now: RolloutView) -> RenderableType:
    """The steps, what was seen, and the last events."""
    steps = Text()
    for number, name in enumerate(now.steps):
        mark = "+" if number < now.step else _MARKS.get(now.phase, " ") if number == now.step else " "
        steps.append(f" {mark} {name}\n", style="bold" if number == now.step else "")
    table = Table(box=None, pad_edge=False)
    for column in ("", "requests", "failed", "NaN", "late"):
        table.add_column(column, justify="left" if not column else "right")
    seen = now.seen
    for name, side in (
        (f"old ({now.stable})", seen.old),
        (f"new ({now.candidate})", seen.new),
        ("shadow", seen.shadow),
    ):
        table.add_row(name, *_cells(side))
    return Group(Text(line(now), style="bold"), steps, table, Text(_compared(now)))


def _cells(side: Side) -> tuple[str, ...]:
    return f"{side.requests:,}", f"{side.failures:,}", f"{side.not_finite:,}", f"{side.late:,}"


def _compared(now: RolloutView) -> str:
    seen, parts = now.seen, []
    if seen.pairs:
        parts.append(f"{seen.different:,} of {seen.pairs:,} answers differ")
    if seen.score_difference is not None:
        parts.append(f"scores differ by {seen.score_difference:.3g} on average")
    if seen.slowdown:
        factor, low, high = seen.slowdown
        parts.append(f"{factor:.2f} times as long per image ({low:.2f} to {high:.2f})")
    return "; ".join(parts)
