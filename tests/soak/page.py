"""docs/measurements/reliability.md from the last results: `python -m tests.soak.page`, or `make soak ARGS=--docs`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.soak.phases import PHASES

PAGE = Path(__file__).parents[2] / "docs" / "measurements" / "reliability.md"
RESULTS = Path(__file__).parent / "results"
_WORD = {True: "kept", False: "**missed**"}
_HEAD = """\
# Reliability: what was measured

`make soak ARGS=--docs` writes this page: every figure with a goal, missed goals among them.
[reliability.md](../reliability.md) describes the phases. Figures without a goal are in `tests/soak/results/`.

"""


def write_page(page: Path, results: Path) -> None:
    """Write the whole page from the results of all phases."""
    page.write_text(_HEAD + table(_read(results)))


def table(phases: Sequence[Mapping[str, Any]]) -> str:
    """The machine, and a row per figure with a goal; what never happened and must not is one row per phase."""
    last = max(phases, key=lambda one: one["when"])
    lines = ["- " + ", ".join(f"{name}: {value}" for name, value in last["machine"].items())]
    lines += [f"- `{one['phase']}`: {_conditions(one)}" for one in phases]
    lines += ["", "| phase | what | measured | goal | |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for one in phases for row in _rows(one)]
    return "\n".join(lines) + "\n"


def _rows(phase: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    name = f"`{phase['phase']}`"
    judged = [one for one in phase["promises"] if one["goal"]]
    never = [one["what"] for one in judged if one["goal"] == "0" and one["kept"]]
    if never:
        yield name, "; ".join(never), "0", "0", _WORD[True]
    for one in judged:
        if one["what"] not in never:
            yield name, one["what"], one["measured"], one["goal"], _WORD[one["kept"]]


def _conditions(one: Mapping[str, Any]) -> str:
    scale = f", scale {one['scale']:g}" if one["scale"] != 1 else ""
    return f"{one['when'][:16].replace('T', ' ')} UTC, seed {one['seed']}{scale}"


def _read(results: Path) -> list[dict[str, Any]]:
    paths = [results / f"{name}.json" for name in PHASES]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


if __name__ == "__main__":
    write_page(PAGE, RESULTS)
