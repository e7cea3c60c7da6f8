"""What a device does with a bare `session.run`, what each step of the worker's path adds, what a server keeps of it.

All in one run and in turns, so that whatever the machine does meanwhile meets all alike; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.device_steps import BARE, Disagrees, Step, steps, subject
from benchmarks.machine import facts
from benchmarks.meter import Spoilt
from benchmarks.report import aligned
from benchmarks.roofs import Client
from benchmarks.served import StartFailed, serving, tureen
from benchmarks.works import WORKS, Work
from server.commands.bench.fleet import ClientDied, Fleet, Material
from server.commands.bench.target import parse_url
from server.inference.onnx.providers import Provider, cuda_problem
from server.models.errors import ModelError
from server.process.cpus import usable_cpus
from server.process.gpus import may_have_gpu

SERVED = "served over HTTP"
_SIDE = (256, 192)  # pixels: small, since what is measured is not decoding
_IN_FLIGHT = 8  # batches' worth of connections: for several workers, each with one that runs and one being filled
_CPUS_A_CLIENT = 4  # one process sends about as much as one web process answers
_SLO = "10s"  # wide: what is measured is the rate
NO_GPU = (
    "**No GPU was there: this ran on ONNX Runtime's CPU provider.** It shows that the benchmark works and nothing of a"
    " GPU: copies are within the same memory, and the head costs more than the bytes save."
)
_EPILOG = """\
examples:
  python -m benchmarks.device                                 ResNet-50 in batches of 32
  python -m benchmarks.device --work tiny --batch 8           where launches and copies are most of it
  python -m benchmarks.device --model food.onnx --no-server   a model of yours, without the server
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One step's rates, a round each. `copies`: there, a batch. `sent`: bytes of an image. None: not counted."""

    name: str
    rates: Sequence[float]
    copies: int | None = None
    sent: int | None = None


def table(rows: Sequence[Row]) -> str:
    """Rates, and what they are of the bare run's in the same round. Pure."""
    bare = next(row for row in rows if row.name == BARE)
    lines = [["step", "images/s", "of bare", "rounds", "copies to the device, a batch", "kB an image"]]
    for row in rows:
        ratios = sorted(rate / against for rate, against in zip(row.rates, bare.rates, strict=True))
        lines.append(
            [
                row.name,
                f"{statistics.median(row.rates):,.1f}",
                f"{statistics.median(ratios):.3f}",
                f"{ratios[0]:.3f} to {ratios[-1]:.3f}",
                "" if row.copies is None else str(row.copies),
                "" if row.sent is None else f"{row.sent / 1000:.1f}",
            ]
        )
    return aligned(lines)


def measure(work: Work, given: argparse.Namespace, provider: Provider) -> tuple[int, list[Row]]:
    """The batch; every step and the server, in turns. Raises `Disagrees`, `ModelError`, `Spoilt` or `StartFailed`."""
    paths = work.pictures()
    bodies = [path.read_bytes() for path in paths]
    half = given.precision == "fp16"
    of = subject(work.model_path(), bodies, given.batch, provider, given.device, half=half)
    ready = steps(of)
    with ExitStack() as stack:
        client = _client(stack, work, given, provider, of.batch) if given.server else None
        rounds = [_round(ready, client, given.seconds, of.batch, number) for number in range(given.rounds)]
    rows = [Row(step.name, [one[step.name] for one in rounds], step.copies, step.sent) for step in ready]
    return of.batch, [*rows, *([Row(SERVED, [one[SERVED] for one in rounds])] if client else [])]


def _client(stack: ExitStack, work: Work, given: argparse.Namespace, provider: Provider, batch: int) -> Client:
    where = f"cuda:{given.device}" if provider == "cuda" else provider
    flags = ["--provider", where, "--max-batch", str(batch), "--threads", "1"]
    flags += ["--slo", _SLO, "--precision", given.precision, "--http-server", given.http_server]
    flags += ["--workers", str(given.workers)] if given.workers else []
    flags += [] if given.cuda_graphs else ["--cuda-graphs", "off"]
    served = stack.enter_context(serving(tureen([*work.serve_flags(), *flags])))
    served.wait_for_workers()
    material = Material(target=parse_url(served.url), pictures=work.pictures())
    fleet = stack.enter_context(Fleet(material, max(1, usable_cpus() // _CPUS_A_CLIENT)))
    return Client(fleet, served)


def _round(ready: Sequence[Step], client: Client | None, seconds: float, batch: int, number: int) -> dict[str, float]:
    """All of them once, in an order of the round's own."""
    rates: dict[str, float] = {}
    for step in random.Random(number).sample([*ready, None], len(ready) + 1):
        if step:
            rates[step.name] = step.rate(seconds, batch)
        elif client:
            rates[SERVED] = client.run(seconds, _IN_FLIGHT * batch).summary.rate
    shown = ", ".join(f"{name} {rate:,.1f}" for name, rate in rates.items())
    print(f"  round {number + 1}: {shown}", file=sys.stderr, flush=True)
    return rates


def _settled(asked: str, index: int) -> Provider:
    """CUDA if it was asked for, or is there and nobody said."""
    if asked != "auto":
        return "cuda" if asked == "cuda" else "cpu"
    return "cuda" if may_have_gpu() and cuda_problem(index) is None else "cpu"


def _facts(provider: Provider, index: int) -> Mapping[str, str]:
    return {**({"GPU": _gpu(index)} if provider == "cuda" else {}), **facts()}


def _gpu(index: int) -> str:  # pragma: no cover - needs a GPU
    asked = ["nvidia-smi", f"--id={index}", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return f"number {index}; nvidia-smi does not say more"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.device",
        description="Measure a model on a device: bare, over bound tensors, with pictures as bytes, with CUDA graphs,"
        " in float16, and served; print each rate as a part of the bare one. Without a GPU: on the CPU provider, and it"
        " says so.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--work", choices=WORKS, default="resnet50", help="whose model (default: resnet50)")
    which.add_argument("--model", type=Path, help="one of yours: an .onnx file or a model folder")
    parser.add_argument("--batch", type=int, default=32, help="images in each batch (default: 32)")
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    parser.add_argument("--device", type=int, default=0, help="index of the GPU (default: 0)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each step in each round (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--no-cuda-graphs", dest="cuda_graphs", action="store_false", help="for the server")
    parser.add_argument("--precision", choices=("model", "fp16"), default="model", help="fp16: a step more, and served")
    parser.add_argument("--http-server", choices=("hypercorn", "uvicorn"), default="hypercorn", help="of the server")
    parser.add_argument("--workers", type=int, default=0, help="of the server (default: as it decides)")
    parser.add_argument("--no-server", dest="server", action="store_false", help="the steps only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there as well")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is put away
    provider = _settled(given.provider, given.device)
    machine = _facts(provider, given.device)
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()))
    work = Work(str(given.model.absolute()) if given.model else WORKS[given.work].model, *_SIDE)
    try:
        batch, rows = measure(work, given, provider)
    except (Disagrees, ModelError, Spoilt, StartFailed, ClientDied) as error:
        print(f"\nNo figure: {error}", flush=True)
        return 1
    print(f"\n### {work.title}, batches of {batch}, on {provider}\n\n{table(rows)}", flush=True)
    if provider == "cpu":
        print(f"\n{NO_GPU}", flush=True)
    if given.json:
        raw = {row.name: {"rates": row.rates, "copies": row.copies, "sent": row.sent} for row in rows}
        given.json.write_text(json.dumps({"machine": machine, "provider": provider, "rows": raw}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
