"""What a person sees of `tureen replay`: a bar while it runs, a table when it is done; and the files."""

import csv
import io
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from server.commands.replay.compare import Compared, Summary, Verdict
from server.commands.thumbnails import thumbnail

_MOVES = 10  # in the table
_PICTURES = 500  # on the page


def bar(console: Console) -> Progress:
    """The bar that moves, on a terminal; elsewhere nothing is shown."""
    return Progress(
        TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console,
        transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def show(out: Console, total: Summary, model: str) -> None:
    """The table."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    for name, value in rows(total, model):
        table.add_row(name, value)
    out.print(table)
    for before, after, count in total.moves[:_MOVES]:
        out.print(f"  {count:>6} x {before} -> {after}", markup=False, highlight=False)


def rows(total: Summary, model: str) -> list[tuple[str, str]]:
    """The figures as text."""
    failed = ", ".join(f"{count} {code}" for code, count in sorted(total.failed.items()))
    return [
        ("model", model),
        ("images", f"{total.images:,}"),
        ("the same answer", f"{total.same:,}" + _share(total.agreement)),
        ("another answer", f"{total.changed:,}"),
        ("no answer", failed or "0"),
        ("score, after less before: mean", _number(total.mean_score_difference)),
        ("... the largest", _number(total.largest_score_difference)),
        ("ms per image: median", _number(total.p50_ms)),
        ("... p99", _number(total.p99_ms)),
    ]


def as_json(total: Summary, model: str, compared: Sequence[Compared]) -> bytes:
    """The figures, and each image that changed or failed."""
    changed = [row for row in compared if not row.same]
    document = {"model": model, "summary": msgspec.to_builtins(total), "changed": msgspec.to_builtins(changed)}
    return msgspec.json.format(msgspec.json.encode(document))


def as_csv(compared: Sequence[Compared]) -> str:
    """A line per image."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(
        ("id", "original", "same", "label_before", "label_after", "score_before", "score_after", "ms", "error")
    )
    for row in compared:
        before, after = row.before, row.after
        lines.writerow(
            (row.id, row.original, int(row.same), _cell(before.label), _cell(after.label), before.score, after.score,
             round(row.seconds * 1e3, 3), row.error)
        )  # fmt: skip
    return out.getvalue()


def as_html(total: Summary, model: str, compared: Sequence[Compared], original: Callable[[str], bytes | None]) -> str:
    """A page with the pictures that changed, small. `original` gives the bytes by name."""
    changed = [row for row in compared if not row.same and not row.error]
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows(total, model))
    figures = "".join(_figure(row, original(row.original)) for row in changed[:_PICTURES])
    more = f"<p>{len(changed) - _PICTURES} more</p>" if len(changed) > _PICTURES else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Replay: {escape(model)}</title>'
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem}dl{display:grid;grid-template-columns:max-content"
        " 1fr;gap:.2rem 1rem}main{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:11rem}"
        "figcaption{font-size:.85rem;overflow-wrap:anywhere}</style>"
        f"<h1>Replay: {escape(model)}</h1><dl>{facts}</dl><h2>{len(changed)} changed</h2>"
        f"<main>{figures}</main>{more}</html>\n"
    )


def _figure(row: Compared, body: bytes | None) -> str:
    image = (thumbnail(body) if body else None) or ""
    words = f"{_told(row.before)} → {_told(row.after)}"
    return f"<figure>{image}<figcaption>{escape(words)}<br>{escape(row.original)}</figcaption></figure>"


def _told(verdict: Verdict) -> str:
    return " ".join(filter(None, (verdict.label, _number(verdict.score) if verdict.score is not None else "")))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "" if value is None else f" ({value:.1%})"


def _cell(text: str) -> str:
    """A label as a spreadsheet takes no formula from."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def write(path: Path | None, text: bytes | str) -> None:
    """Raises `OSError`."""
    if path:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
