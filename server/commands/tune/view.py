"""What a person sees of `tureen tune`: a table when it is done."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from server.commands.tune.measure import Findings
from server.fleet.layout.choose import Row, is_within

COLUMNS = ("layout", "batch", "images/s", "per batch", "lone image", "CPU per image", "memory", "")


def show_table(out: Console, findings: Findings, chosen: Row, slo_s: float) -> None:
    """All rows, the chosen one marked, and below them what has no row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("layout", "") else "right", no_wrap=True)
    for row in findings.rows:
        table.add_row(*cells(row, chosen, slo_s), style="bold" if row is chosen else "")
    out.print(table)
    for layout, reason in findings.lost.items():
        out.print(f"{layout}: not measured: {reason}", style="yellow", markup=False)


def cells(row: Row, chosen: Row, slo_s: float) -> tuple[str, ...]:
    """A row as text."""
    note = "chosen" if row is chosen else "" if is_within(row, slo_s) else "too late"
    return (
        str(row.layout), str(row.batch), f"{row.rate:.4g}", _ms(row.batch_s), _ms(row.lone_s), _ms(row.cpu_s),
        f"{row.memory / 1e6:,.0f} MB" if row.memory else "-", note,
    )  # fmt: skip


def verdict(rows: Sequence[Row], chosen: Row, slo_s: float) -> str:
    """The choice in a sentence."""
    words = (
        f"{chosen.layout}, batches of {chosen.batch}: {chosen.rate:.4g} images/s, a lone image in {_ms(chosen.lone_s)}"
    )
    others = [row for row in rows if row.layout != chosen.layout and is_within(row, slo_s)]
    if not is_within(chosen, slo_s):
        return f"{words}. No layout meets the deadline of {slo_s:g} s; this one comes closest."
    if not others:
        return f"{words}."
    second = max(others, key=lambda row: row.rate)
    return f"{words}; {chosen.rate / second.rate:.2f} times the images of {second.layout}."


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
