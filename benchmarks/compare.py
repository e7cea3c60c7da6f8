"""Tureen, the ceiling and two FastAPI servers, on the same work in the same run. `make bench`.

Within a round all meet the same machine, one after the other in random order; figures are medians over rounds.
What is measured goes into one JSON file; `benchmarks.render` makes docs/performance.md of it.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bare import top_labels
from benchmarks.child import Child, ChildDied
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import facts
from benchmarks.meter import Spoilt
from benchmarks.render import render
from benchmarks.rest import at_rest
from benchmarks.roofs import Roof
from benchmarks.served import StartFailed
from benchmarks.stages import FACTORS, Plan, stages_of
from benchmarks.store import RESULTS
from benchmarks.works import WORKS, Work
from server.commands.bench.fleet import ClientDied
from server.process.cpus import usable_cpus

COMPARED = ("tiny", "mobilenet_v2", "resnet50", "mix")
_PAGE = Path(__file__).parents[1] / "docs"
_QUICK = {"seconds": 1.5, "rounds": 1, "factors": FACTORS}
_FULL = {"seconds": 4.0, "rounds": 3, "factors": FACTORS}

_EPILOG = """\
examples:
  make bench ARGS=--quick                   a first look, five minutes
  make bench                                three rounds, about forty minutes
  make bench ARGS="--work tiny --rounds 7 --seconds 8"

Let the machine rest meanwhile. The exit code is 1 if anything has no figure, whatever the budgets say.
"""


def main(argv: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    defaults = _QUICK if given.quick else _FULL
    seconds, rounds = given.seconds or defaults["seconds"], given.rounds or defaults["rounds"]
    factors = given.factors or list(defaults["factors"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is put away
    began = time.monotonic()
    whole: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": facts(),
        "method": {"seconds": seconds, "rounds": rounds, "factors": factors, "quick": given.quick},
        "rest": at_rest(2.0),
        "works": {},
    }
    flaws = 0
    order = random.Random(given.seed)
    for name in given.work:
        work = WORKS[name]
        plan = Plan(seconds, factors, given.seed)
        rounds_done = compare(work, plan, rounds, order)
        size = sum(path.stat().st_size for path in work.pictures()) // len(work.pictures())
        whole["works"][name] = {
            "title": work.title,
            "slo_s": work.slo_s,
            "least_efficiency": work.efficiency,
            "picture_bytes": size,
            "rounds": rounds_done,
        }
        flaws += json.dumps(rounds_done).count('"flaw"')
    whole["took_s"] = time.monotonic() - began
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(whole, indent=1) + "\n")
    print(render(whole, given.docs))
    return 1 if flaws else 0


def compare(work: Work, plan: Plan, rounds: int, order: random.Random) -> list[dict[str, Any]]:
    """The rounds of a work: for each, what every contender did, by name; leaves no process behind."""
    _say(f"{work.title}: preparing")
    pictures = work.pictures()
    expected = top_labels(work.model_path(), [path.read_bytes() for path in pictures])
    bare = [str(work.model_path()), *map(str, pictures)]
    done = []
    with ExitStack() as stack:
        roof = Roof([stack.enter_context(Child("benchmarks.bare", bare)) for _ in range(usable_cpus())])
        batch = roof.best_batch(min(1.0, plan.seconds))
        for number in range(rounds):
            names = ["roof", *CONTENDERS]
            order.shuffle(names)
            one = {}
            for name in names:
                _say(f"  round {number + 1}, {name}: ", end="")
                one[name] = _roof(roof, plan, batch) if name == "roof" else _contender(name, work, expected, plan)
                _say("")
            done.append(one)
    return done


def _roof(roof: Roof, plan: Plan, batch: int) -> dict[str, Any]:
    try:
        figures = {**roof.run(plan.seconds, batch), "lone_s": roof.lone(plan.seconds), "batch": batch}
    except ChildDied as error:
        return {"flaw": str(error)}
    _say(f"{figures['rate']:,.1f}/s", end="")
    return figures


def _contender(name: str, work: Work, expected: Sequence[str], plan: Plan) -> dict[str, Any]:
    contender = CONTENDERS[name]
    say: Callable[[str], None] = lambda text: _say(f"{text}; ", end="")  # noqa: E731  # it has to be handed on
    try:
        with contender.start(work) as served:
            return stages_of(work, served, expected if contender.checked else None, plan, say)
    except (Spoilt, StartFailed, ClientDied) as error:
        say(f"no figure: {error}")
        return {"flaw": str(error)}


def _say(text: str, end: str = "\n") -> None:
    print(text, file=sys.stderr, end=end, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Compare Tureen with no server and with two FastAPI servers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--work", nargs="+", choices=WORKS, default=COMPARED, metavar="NAME", help="which")
    parser.add_argument("--seconds", type=float, metavar="NUMBER", help="of each window")
    parser.add_argument("--rounds", type=int, metavar="NUMBER", help="of each work")
    parser.add_argument("--factors", type=float, nargs="+", metavar="NUMBER", help="of the open loops, times capacity")
    parser.add_argument("--seed", type=int, default=1, help="of order and arrivals (default: 1)")
    parser.add_argument("--json", type=Path, default=RESULTS / "compare.json", metavar="FILE", help="the raw figures")
    parser.add_argument("--docs", type=Path, default=_PAGE, metavar="DIR", help="where performance.md goes")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
