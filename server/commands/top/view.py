"""What `tureen top` shows of one answer of /watch. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_BARS = " ▁▂▃▄▅▆▇█"
_WINDOW = 10  # seconds that figures are of
_HIDDEN = ("tureen_build_info", "tureen_requests_total", "tureen_model_info")
_LINES = 14  # of figures


def view(document: Mapping[str, Any], width: int = 100) -> RenderableType:
    """The whole screen. `document`: what /watch gives."""
    history: Sequence[Mapping[str, Any]] = document["history"]
    if not history:
        return Text("The server has just started: nothing to show yet.")
    now, recent = history[-1], history[-_WINDOW:]
    return Group(
        _headline(now, recent),
        _chart("answered /s", [one["answered"] for one in history], width, "green"),
        _chart("refused /s", [one["broken"] for one in history], width, "red"),
        _chart("p99 ms", [one["p99_ms"] or 0.0 for one in history], width, "cyan"),
        _chart("waiting", [one["waiting"] for one in history], width, "yellow"),
        _side_by_side(_refusals(recent), _workers(document["workers"])),
        _figures(document["figures"]),
    )


def _headline(now: Mapping[str, Any], recent: Sequence[Mapping[str, Any]]) -> Text:
    answered, broken = (sum(one[key] for one in recent) for key in ("answered", "broken"))
    kept = answered / (answered + broken) if answered + broken else 1.0
    text = Text()
    text.append(f"{answered / len(recent):.1f} answered/s", "bold")
    text.append("  promise kept ")
    text.append(f"{kept:.2%}", "bold green" if kept >= 0.999 else "bold red")
    text.append(f"  p50 {_ms(now['p50_ms'])}  p95 {_ms(now['p95_ms'])}  p99 {_ms(now['p99_ms'])}")
    text.append(f" of {_ms(now['slo_ms'])}  workers ")
    text.append(f"{now['ready']}/{now['workers']}", "" if now["ready"] >= now["workers"] else "bold red")
    text.append(f"  batch {now['batch'] or 0:.1f}  loop lag {_ms(now['lag_ms'])}")
    return text


def _chart(name: str, values: Sequence[float], width: int, style: str) -> Text:
    """One line: the last seconds as bars, the newest to the right, and the highest in words."""
    shown = list(values)[-max(10, width - 34) :]
    top = max(shown) or 1.0
    bars = "".join(_BARS[max(1, round(8 * value / top))] if value > 0 else _BARS[0] for value in shown)
    return Text.assemble(f"{name:>12} ", (bars, style), f" {shown[-1]:.5g} (max {max(shown):.5g})")


def _refusals(recent: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("refused or failed, last 10 s", "code", "images")
    codes: dict[str, int] = {}
    for one in recent:
        for code, count in one["codes"].items():
            codes[code] = codes.get(code, 0) + count
    codes.pop("ok", None)
    for code, count in sorted(codes.items(), key=lambda pair: -pair[1]):
        table.add_row(code, str(count))
    return table


def _workers(workers: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("workers", "worker", "pid", "state", "images")
    for one in workers:
        table.add_row(one["name"], str(one["pid"]), one["state"], str(one["held"]))
    return table


def _figures(figures: Sequence[Sequence[Any]]) -> Table:
    """Those that say something: zeros are left out."""
    table = _table("figures", "figure", "of", "value")
    told = [one for one in figures if one[2] and one[0] not in _HIDDEN]
    for name, labels, value in told[:_LINES]:
        table.add_row(name.removeprefix("tureen_"), labels, f"{value:.6g}")
    if len(told) > _LINES:
        table.add_row(f"and {len(told) - _LINES} more", "", "")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in ("images", "value", "pid") else "left", no_wrap=True)
    return table


def _side_by_side(*tables: Table) -> Table:
    grid = Table.grid(padding=(0, 4))
    grid.add_row(*tables)
    return grid


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
