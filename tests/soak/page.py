"""The table of docs/reliability.md, of the last results: `python -m tests.soak.page`, or `make soak ARGS=--docs`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.soak.phases import PHASES

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- figures: written by make soak -->\n", "<!-- end of figures -->\n"
_WORD = {True: "kept", False: "**missed**", None: ""}


def write_table(page: Path, results: Path) -> None:
    """Put the table between its marks. Raises `ValueError` where the page has none."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page} has no place for the table")
    page.write_text(before + BEGIN + "\n" + table(_read(results)) + "\n" + END + after)


def table(phases: Sequence[dict[str, Any]]) -> str:
    """What was measured on, last, and a row for each promise and figure, in the order of the phases."""
    last = max(phases, key=lambda one: one["when"])
    lines = [f"- {name}: {value}" for name, value in last["machine"].items()]
    lines += ["", "| phase | what | measured | goal | |", "|---|---|---|---|---|"]
    for one in phases:
        for row, promise in enumerate(one["promises"]):
            name = f"`{one['phase']}`, {_conditions(one)}" if row == 0 else ""
            cells = (name, promise["what"], promise["measured"], promise["goal"], _WORD[promise["kept"]])
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _conditions(one: dict[str, Any]) -> str:
    scale = f", scale {one['scale']:g}" if one["scale"] != 1 else ""
    return f"{one['when'][:16].replace('T', ' ')} UTC, seed {one['seed']}{scale}"


def _read(results: Path) -> list[dict[str, Any]]:
    paths = [results / f"{name}.json" for name in PHASES]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


if __name__ == "__main__":
    write_table(PAGE, RESULTS)
