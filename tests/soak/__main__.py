"""`python -m tests.soak`, or `make soak`: whether a real server keeps what it promises, phase by phase."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from tests.soak.page import PAGE, write_page
from tests.soak.phases import PHASES
from tests.soak.runner import carry_out
from tests.soak.show import Display

RESULTS = Path(__file__).parent / "results"

_ABOUT = """\
Start real servers, do to them what the world does, and check afterwards that every promise was kept. Each phase runs
in a process of its own: one that fails, or hangs, costs the others nothing.
"""
_EPILOG = """\
examples:
  make soak                                        everything; about {minutes} minutes on two cores
  make soak ARGS="--only nemesis --seed 7"         one phase, with the faults of this seed
  make soak ARGS="--only nemesis --scale 10"       the same for a quarter of an hour
  make soak ARGS="--scale 0.1"                     a first look; its figures mean little
  make soak ARGS="--docs"                          everything, and docs/measurements/reliability.md

Raw figures go into tests/soak/results/, one file per phase, the last run's. Let the machine rest meanwhile.
exit code: 0 every promise was kept, 1 one was not, or a phase came to no end. docs/reliability.md says what is
promised.
"""


def main(argv: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is put away
    chosen = {name: phase for name, phase in PHASES.items() if name in (given.only or PHASES)}
    with Display(given.seed, given.scale) as display:
        results = {}
        for name, phase in chosen.items():
            results[name] = _kept(name, given, carry_out(name, phase, given.seed, given.scale, display.progress))
            display.show(name, phase, results[name])
        display.summary(results)
    if given.docs:
        write_page(PAGE, RESULTS)
    return 0 if all(one["kept"] for one in results.values()) else 1


def _kept(name: str, given: argparse.Namespace, found: dict[str, Any]) -> dict[str, Any]:
    """Write a phase's figures down at once: what comes after it may fail."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    whole = {"phase": name, "when": when, "seed": given.seed, "scale": given.scale, "machine": facts(), **found}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    return whole


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=_ABOUT,
        epilog="phases:\n"
        + "".join(f"  {name:9} {phase.title} (about {phase.seconds} s)\n" for name, phase in PHASES.items())
        + "\n"
        + _EPILOG.format(minutes=round(sum(phase.seconds for phase in PHASES.values()) / 60)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=PHASES, metavar="PHASE", help="these, instead of all")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: 1); another, other faults")
    parser.add_argument("--scale", type=_positive, default=1.0, help="how much longer than usual (default: 1)")
    parser.add_argument("--docs", action="store_true", help="write the last results of all phases into the page")
    return parser


def _positive(text: str) -> float:
    if not (value := float(text)) > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
