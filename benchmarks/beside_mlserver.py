"""Tureen beside MLServer: `python -m benchmarks.beside_mlserver [--rounds 5] [--requests 200]`.

Both serve the demo model on one thread: Tureen in a worker, MLServer in its server process. Both are asked for the same
tensor by the same clients, in turns. MLServer takes no binary tensors over REST, so both get JSON there. Needs
`.venvs/mlserver`, by `make beside`.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.protocols import INFER, MODEL, SHAPE, Grpc, Http, Turn, binary, message, turn
from benchmarks.served import free_port, serving, tureen
from server import demo

_ROOT = Path(__file__).parents[1]
_MLSERVER = _ROOT / ".venvs" / "mlserver" / "bin" / "mlserver"
_START_S = 60.0


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside_mlserver", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200, help="per turn")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours, theirs = free_port(), stack.enter_context(mlserver(folder))
        flags = ["--workers", "1", "--threads", "1", "--grpc-port", str(ours), "--slo", "30s", "--cache", "off"]
        served = stack.enter_context(serving(tureen(flags)))
        turns = asyncio.run(_measured((served.host, served.port), ours, theirs, given.rounds, given.requests))
    print("| request | server | requests per second | p50, ms | p99, ms |\n|---|---|---:|---:|---:|")
    for (request, server), found in turns.items():
        times = sorted(second * 1e3 for one in found for second in one.seconds)
        rate = statistics.median(one.rate for one in found)
        p50, p99 = times[len(times) // 2], times[int(0.99 * len(times))]
        print(f"| {request} | {server} | {rate:.0f} | {p50:.1f} | {p99:.1f} |")


@contextmanager
def mlserver(folder: Path) -> Iterator[tuple[int, int]]:
    """An MLServer with the demo model, ready; its ports for REST and gRPC."""
    http, grpc, metrics = free_port(), free_port(), free_port()
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "debug": False}
    file = demo.FOLDER / "1" / "model.onnx"
    model = {"name": MODEL, "implementation": "mlserver_onnx.Onnx", "parameters": {"uri": str(file)}}
    (folder / "settings.json").write_bytes(msgspec.json.encode({**settings, "parallel_workers": 0}))
    (folder / "model-settings.json").write_bytes(msgspec.json.encode(model))
    source = Path(__file__).parent / "baselines" / "mlserver_onnx.py"
    (folder / source.name).write_text(source.read_text())
    process = subprocess.Popen(
        [_MLSERVER, "start", folder], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(folder)}, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_ready(f"http://127.0.0.1:{http}/v2/models/{MODEL}/ready", process)
        yield http, grpc
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers outlive a SIGTERM
        process.wait()


def _wait_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.1)


async def _measured(
    ours: tuple[str, int], our_grpc: int, theirs: tuple[int, int], rounds: int, requests: int
) -> dict[tuple[str, str], list[Turn]]:
    tensor = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
    call = message("FP32", SHAPE, tensor.tobytes())
    given = {"name": "image", "datatype": "FP32", "shape": SHAPE, "data": tensor.ravel().tolist()}
    as_json = msgspec.json.encode({"inputs": [given]})
    head = "content-type: application/json\r\n"
    kinds: dict[tuple[str, str], Callable[[], Any]] = {
        ("gRPC, 0.6 MB", "Tureen"): lambda: Grpc(our_grpc, call),
        ("gRPC, 0.6 MB", "MLServer"): lambda: Grpc(theirs[1], call),
        ("REST, JSON", "Tureen"): lambda: Http(ours, INFER, as_json, head),
        ("REST, JSON", "MLServer"): lambda: Http(("127.0.0.1", theirs[0]), INFER, as_json, head),
        ("REST, binary", "Tureen"): lambda: Http(ours, INFER, *binary("FP32", SHAPE, tensor.tobytes())),
    }
    found: dict[tuple[str, str], list[Turn]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, connect in kinds.items():
            one = await turn(connect, [], requests if name[0] != "REST, JSON" else max(1, requests // 4))
            if number:  # the first one warms up
                found[name].append(one)
    return found


if __name__ == "__main__":
    main()
