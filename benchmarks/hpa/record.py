"""`python -m benchmarks.hpa.record`: load a real server step by step, and write down what its metrics say.

The metric is computed as deploy/kubernetes/overlays/cpu/adapter-rules.yaml does: images offered per second over the
server's own capacity.
"""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.hpa.recorded import Point, Recording, write
from benchmarks.served import serving, tureen
from server.commands.bench.photos import photo

_STEPS = (0.3, 0.6, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)
_STEP_S = "6s"
_SLO_MS = 1000.0
_CAPACITY = re.compile(r"^tureen_capacity_images_per_second (\S+)", re.MULTILINE)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder)
        for seed in range(8):
            (images / f"{seed}.jpg").write_bytes(photo(1024, 768, seed))
        flags = ("--workers", "1", "--threads", "1", "--slo", f"{_SLO_MS:g}ms")
        with serving(tureen(flags)) as server:
            closed = _bench(server.url, images, "--connections", "16")
            near = closed["ok"] / closed["window_s"]
            points = [_point(server.url, images, near, step) for step in _STEPS]
            most = max(point.offered * point.answered for point in points)  # a closed loop need not find it
            scaled = tuple(replace(point, offered=point.offered / most) for point in points)
            write(Recording(near * most, server.start_s, _SLO_MS, scaled))
    return 0


def _point(url: str, images: Path, capacity: float, step: float) -> Point:
    found = _bench(url, images, "--rate", f"{capacity * step:.1f}")
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        estimate = float(_CAPACITY.findall(reply.read().decode())[0])
    rate = found["offered"] / found["window_s"]
    admitted = found["offered"] - found["refused"]
    late = 1 - found["good"] / max(1, admitted)
    p99_ms = found["latency"]["p99"] * 1e3
    print(f"{step:g}: {found['good']} of {found['offered']} in time, {found['refused']} refused", file=sys.stderr)
    return Point(rate / capacity, rate / estimate, found["good"] / found["offered"], late, p99_ms)


def _bench(url: str, images: Path, *words: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [str(Path(sys.executable).with_name("tureen")), "bench", url, "--images", str(images), "--duration",
                   _STEP_S, "--slo", f"{_SLO_MS:g}ms", "--json", file.name, *words]  # fmt: skip
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        return json.loads(Path(file.name).read_text())["runs"][0]["figures"]


if __name__ == "__main__":
    raise SystemExit(main())
