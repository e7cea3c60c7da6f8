"""docs/measurements/reliability.md from the last results: `python -m tests.soak.page`, or `make soak ARGS=--docs`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.soak.phases import PHASES

PAGE = Path(__file__).parents[2] / "docs" / "measurements" / "reliability.md"
RESULTS = Path(__file__).parent / "results"
_HEAD = """\
# Reliability: what was measured

`make soak ARGS=--docs` writes this page: every figure, with its goal in brackets.
[reliability.md](../reliability.md) describes the phases. Figures without a goal are in `tests/soak/results/`.

"""


def write_page(page: Path, results: Path) -> None:
    """Write the whole page from the results of all phases."""
    page.write_text(_HEAD + table(_read(results)))


def table(phases: Sequence[Mapping[str, Any]]) -> str:
    """The machine, and an item per phase."""
    last = max(phases, key=lambda one: one["when"])
    machine = ", ".join(f"{name}: {value}" for name, value in last["machine"].items())
    lines = [f"{machine}; last run {last['when'][:10]}.\n"]
    lines += [f"- **`{one['phase']}`**{_conditions(one)}: {'; '.join(_figures(one))}." for one in phases]
    return "\n".join(lines) + "\n"


def _figures(phase: Mapping[str, Any]) -> Iterator[str]:
    """Each figure with its goal; those that must be 0, and are, are only counted."""
    judged = [one for one in phase["promises"] if one["goal"]]
    never = [one["what"] for one in judged if one["goal"] == "0" and one["kept"]]
    if never:
        yield f"{len(never)} kinds of breach never happened"
    for one in judged:
        if one["what"] not in never:
            figure = f"{one['what']} {one['measured']} ({one['goal']})"
            yield figure if one["kept"] else f"**missed: {figure}**"


def _conditions(one: Mapping[str, Any]) -> str:
    """What is not as usual."""
    unusual = [f"{name} {one[name]:g}" for name in ("seed", "scale") if one[name] != 1]
    return f" ({', '.join(unusual)})" if unusual else ""


def _read(results: Path) -> list[dict[str, Any]]:
    paths = [results / f"{name}.json" for name in PHASES]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


if __name__ == "__main__":
    write_page(PAGE, RESULTS)
