"""What this machine could do with no server, and what the server makes of it, measured in one run.

Roof and server take turns in short rounds, so that whatever the machine does meanwhile meets both; each
figure is a median over the rounds. A run in which anything but a 200 came has no figure.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.child import Child, ChildDied, Message
from benchmarks.machine import busy_s, facts
from benchmarks.meter import Metered, Spoilt, metered, only_200s
from benchmarks.report import Measured, Round, as_json, table
from benchmarks.served import Served, StartFailed, serving, tureen
from benchmarks.works import USUAL, WORKS, Work
from server.commands.bench.fleet import ClientDied, Fleet, Load, Material
from server.commands.bench.target import parse_url
from server.process.cpus import usable_cpus

CONNECTIONS = 32
_GAIN = 1.03  # a larger batch has to be so much faster to be the roof's
_HEADSTART_S = 0.05  # for all processes to have read that they are to start
_WARM_UP_S = 0.3  # before each window of the server's
_PATIENCE_S = 30.0  # for one answer
_SLO = "5s"  # wide: what is measured is the server's cost, not its promise

_EPILOG = """\
examples:
  python -m benchmarks.roofs                          the usual works, about four minutes
  python -m benchmarks.roofs --work tiny              the server's own cost, half a minute
  python -m benchmarks.roofs --work tiny --seconds 5 --rounds 9 --json tiny.json
  python -m benchmarks.roofs --serve="--workers 4"    with other settings of the server

Let the machine rest meanwhile: what others use of it is in the tables' last row. benchmarks/README.md
says how to read the figures. The exit code is 1 if a work has no figure, whatever the budgets say.
"""


class Roof:
    """One bare process for each usable CPU."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._batches = [child.answer()["batches"] for child in children]

    def best_batch(self, seconds: float) -> int:
        """The batch size that is fastest here; the smallest where there is little in it."""
        rates = {size: self.run(seconds, size)["rate"] for size in self._batches[0]}
        best = int(self._batches[0][0])
        for size in self._batches[0][1:]:
            best = size if rates[size] > rates[best] * _GAIN else best
        return best

    def run(self, seconds: float, batch: int) -> Message:
        """All processes at once: images/s, CPU seconds an image, others' share of the box."""
        start, busy = time.monotonic() + _HEADSTART_S, busy_s()
        answers = self._ask(self._children, start, seconds, batch)
        wall_s, busy = time.monotonic() - start + _HEADSTART_S, busy_s() - busy
        cpu_s = sum(one["cpu_s"] for one in answers)
        return {
            "rate": sum(one["images"] / one["wall_s"] for one in answers),
            "cpu_s": cpu_s / sum(one["images"] for one in answers),
            "others": _share(busy - cpu_s, wall_s),
        }

    def lone(self, seconds: float) -> float:
        """The median time of one image, decode and model, while nothing else runs. Seconds."""
        (answer,) = self._ask(self._children[:1], time.monotonic(), seconds, self._batches[0][0])
        return float(answer["p50_s"])

    @staticmethod
    def _ask(children: Sequence[Child], start: float, seconds: float, batch: int) -> list[Message]:
        for child in children:
            child.send(start=start, seconds=seconds, batch=batch)
        return [child.answer() for child in children]


class Client:
    """The load generator, aimed at a server that is to answer everything."""

    def __init__(self, fleet: Fleet, served: Served) -> None:
        self._fleet = fleet
        self._served = served

    def run(self, seconds: float, connections: int) -> Metered:
        """A closed loop. Raises `Spoilt` unless every answer was 200, from the same processes."""
        load = Load(
            connections=connections, duration_s=seconds, warmup_s=_WARM_UP_S, timeout_s=_PATIENCE_S, slo_s=_PATIENCE_S
        )
        return only_200s(metered(self._fleet, load, self._served))


def measure(work: Work, seconds: float, rounds: int, serve_flags: Sequence[str]) -> Measured:
    """Measure a work. Raises `Spoilt`, `StartFailed` or `ChildDied`; leaves no process behind."""
    _say(f"{work.title}: preparing")
    pictures = work.pictures()
    bare = [str(work.model_path()), *map(str, pictures)]
    with ExitStack() as stack:
        served = stack.enter_context(serving(tureen([*work.serve_flags(), "--slo", _SLO, *serve_flags])))
        roof = Roof([stack.enter_context(Child("benchmarks.bare", bare)) for _ in range(usable_cpus())])
        material = Material(target=parse_url(served.url), pictures=pictures)
        client = Client(stack.enter_context(Fleet(material)), served)
        batch = roof.best_batch(seconds / 2)
        client.run(seconds / 2, CONNECTIONS)  # the first one is slower
        done = [_round(roof, client, seconds, batch, number) for number in range(rounds)]
    size = sum(path.stat().st_size for path in pictures) // len(pictures)
    return Measured(work.title, size, batch, work.efficiency, done)


def _round(roof: Roof, client: Client, seconds: float, batch: int, number: int) -> Round:
    """Roof and server in turns, the other one first each time: a drift then favours neither."""
    if number % 2 == 0:
        bare, busy = roof.run(seconds, batch), client.run(seconds, CONNECTIONS)
        bare_p50_s, lone = roof.lone(seconds), client.run(seconds, 1)
    else:
        busy, bare = client.run(seconds, CONNECTIONS), roof.run(seconds, batch)
        lone, bare_p50_s = client.run(seconds, 1), roof.lone(seconds)
    one = _as_round(bare, busy, bare_p50_s, lone)
    _say(
        f"  round {number + 1}: roof {one.roof_rate:,.1f} img/s, served {one.served_rate:,.1f},"
        f" efficiency {one.efficiency:.3f}, CPU +{one.cpu_above_s * 1000:.2f} ms,"
        f" lone +{one.lone_above_s * 1000:.2f} ms"
    )
    return one


def _as_round(bare: Message, busy: Metered, bare_p50_s: float, lone: Metered) -> Round:
    assert busy.summary.latency  # `only_200s` has seen answers
    assert lone.summary.latency
    return Round(
        roof_rate=bare["rate"],
        roof_cpu_s=bare["cpu_s"],
        roof_others=bare["others"],
        served_rate=busy.summary.rate,
        served_cpu_s=busy.cpu_each_s,
        served_others=busy.others_share,
        client_share=busy.client_share,
        p50_s=busy.summary.latency.p50,
        p99_s=busy.summary.latency.p99,
        bare_p50_s=bare_p50_s,
        lone_p50_s=lone.summary.latency.p50,
    )


def _share(cpu_s: float, wall_s: float) -> float:
    return max(0.0, cpu_s / (wall_s * usable_cpus()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _seconds(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.roofs",
        description="Measure what this machine could do with no server (the roof: decode and model, one"
        " process a core), and what `tureen serve` makes of it; print each figure beside its budget.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--work", nargs="+", choices=WORKS, default=USUAL, metavar="NAME", help=f"which: {', '.join(WORKS)}"
    )
    parser.add_argument("--seconds", type=_seconds, default=2.0, help="of each of a round's four parts (default: 2)")
    parser.add_argument("--rounds", type=_count, default=5, help="of each work (default: 5)")
    parser.add_argument(
        "--serve", default="", metavar="FLAGS", help="more flags for `tureen serve`, in one word after a ="
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there as well")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is put away
    machine, measured, spoilt = facts(), [], 0
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()), flush=True)
    for name in given.work:
        try:
            one = measure(WORKS[name], given.seconds, given.rounds, shlex.split(given.serve))
        except (Spoilt, StartFailed, ChildDied, ClientDied) as error:
            spoilt += 1
            print(f"\n### {WORKS[name].title}\n\nNo figure: {error}", flush=True)
        else:
            measured.append(as_json(one))
            print("\n" + table(one), flush=True)
    if given.json:
        whole = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "works": measured,
        }
        given.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 1 if spoilt else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
