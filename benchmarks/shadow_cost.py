"""What shadowing costs the clients: `python -m benchmarks.shadow_cost`.

Two servers with the same two versions of a model: one shadows no image, the other one every image. At half of what the
machine can do, and flooded.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile
from typing import Any

from benchmarks.bursts import Make, Shape, different, show, take_turns
from benchmarks.served import Served, serving, tureen
from benchmarks.works import WORKS

_CARD = 'default_version = "1"\nslo = "30s"\nworkers = 1\n'
_SHARES = {"no shadow": "shadow 0.0001%", "shadow 100%": "shadow 100%"}  # the first: as good as none
_PATH = "/v1/models/m/rollout"


def main() -> None:
    """Print two tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=250, help="per burst")
    parser.add_argument("--model", choices=sorted(WORKS), default="mobilenet_v2")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: dict[str, tuple[Served, Make]] = {}
        for number, (name, step) in enumerate(_SHARES.items()):
            models = folder / str(number)
            _fill(models, WORKS[given.model].model_path())
            served = stack.enter_context(serving(tureen(["--models", str(models), "--cache", "off"])))
            _call(served, {"version": "2", "plan": f'steps = ["{step}"]\ndwell = "24h"\n'})
            servers[name] = served, different
        for title, pause, connections in (("at half of capacity", 1.0, 2), ("flooded", 0.0, 16)):
            shape = Shape(given.rounds, given.requests, pause=pause, connections=connections)
            show(title, take_turns(servers, shape))
            print(f"  shadows so far: {_call(servers['shadow 100%'][0])['seen']['shadow']['requests']}")


def _fill(folder: Path, model: Path) -> None:
    for version in ("1", "2"):
        (folder / "m" / version).mkdir(parents=True)
        copyfile(model, folder / "m" / version / "model.onnx")
    (folder / "m" / "model.toml").write_text(_CARD)


def _call(served: Served, document: object = None) -> Any:
    data = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(f"{served.url}{_PATH}", data, timeout=120) as response:
        return json.load(response)


if __name__ == "__main__":
    main()
