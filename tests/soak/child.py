"""One phase in a process of its own: `python -m tests.soak.child PHASE SEED SCALE`, JSON lines on standard output.

Each line tells how far it is; the last one holds what was found.
"""

import json
import signal
import sys
import time
import traceback
from importlib import import_module

from tests.soak.phase import Findings, Job
from tests.soak.phases import PHASES

_EVERY_S = 0.25  # between two lines


class _Teller:
    """Writes lines, not more often than anybody reads."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, text: str, share: float) -> None:
        if (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY_S
            print(json.dumps({"text": text, "share": share}), flush=True)


def main(name: str, seed: str, scale: str) -> None:
    """Run the phase; a phase that raises has found that, and nothing else."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # so that its servers are ended
    phase = PHASES[name]
    began = time.monotonic()
    try:
        found = import_module(f"tests.soak.{phase.module}").run(Job(int(seed), float(scale), _Teller()))
    except Exception:
        found = Findings(notes=[traceback.format_exc()])
        found.holds("the phase ran to its end", "no", "yes", False)
    found.raw["took_s"] = round(time.monotonic() - began, 1)
    print(json.dumps({"found": found.as_json()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
