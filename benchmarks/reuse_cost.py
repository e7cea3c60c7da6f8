"""What cache and store cost per request, and what repeats save: `python -m benchmarks.reuse_cost`.

CPU is that of all processes of a server, in ms per request. Every upload differs from all others, unless it repeats.
With repeats, the arithmetic is cores / (c_http + (1 - h) * c_infer): `c_http` is the CPU of a request that is answered
from the cache, `c_http + c_infer` that of one that is not, and `cores` what the machine gave when nothing repeated.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import stand_ins
from benchmarks.bursts import Make, Series, Shape, body, different, show, take_turns
from benchmarks.served import Served, free_port, serving, tureen

_LAYOUT = ("--workers", "1", "--threads", "1")
_ALL_CORES = ("--workers", "2", "--threads", "1")
_REPEATED = 50  # bodies that repeats are taken from
_SHARES = (0.0, 0.1, 0.5, 1.0)


def main() -> None:
    """Print two tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reuse_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=200, help="per burst")
    parser.add_argument("--part", choices=("cost", "repeats"), help="only this table")
    parser.add_argument("--only", nargs="*", default=[], help="of the servers, beside that without a cache")
    given = parser.parse_args()
    if given.part != "repeats":
        _costs(given)
    if given.part != "cost":
        _repeats(given)


def _costs(given: argparse.Namespace) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flags: dict[str, tuple[str, ...]] = {"no cache": ("--cache", "off"), "cache in memory": ()}
        if shutil.which("redis-server"):
            flags["cache in Redis"] = ("--cache", stack.enter_context(stand_ins.redis(folder)).url)
        flags["store in a folder"] = ("--cache", "off", "--store", str(folder / "store"))
        flags["store, S3 away"] = (
            "--cache", "off", "--store", "s3://photos/x", "--s3-endpoint", f"http://127.0.0.1:{free_port()}",
            "--spool-dir", str(folder / "spool"),
        )  # fmt: skip
        servers: dict[str, tuple[Served, Make]] = {}
        for name, words in flags.items():
            if not given.only or name in ("no cache", *given.only):
                command = tureen([*_LAYOUT, *words])
                servers[name] = stack.enter_context(serving(command, environ=stand_ins.AWS)), different
        show("all different, at half of capacity", take_turns(servers, Shape(given.rounds, given.requests, pause=1.0)))


def _repeats(given: argparse.Namespace) -> None:
    with serving(tureen(_ALL_CORES)) as served:
        served.wait_for_workers()
        servers = {f"{share:.0%} repeats": (served, _mixed(share)) for share in _SHARES}
        found = take_turns(servers, Shape(given.rounds, given.requests, connections=8))
    show("cache in memory, at capacity", found)
    none, *_, all_ = found.values()
    for (name, series), share in zip(found.items(), _SHARES, strict=True):
        expected = arithmetic(none, all_, share)
        print(f"  {name:20} {series.rate:8.1f}/s   arithmetic {expected:8.1f}/s ({series.rate / expected - 1:+.1%})")


def arithmetic(none: Series, all_: Series, share: float) -> float:
    """Requests per second when a share repeats, from the CPU of those of which none does and of those that all do. The
    client is on the same cores, so its CPU counts."""
    cores = none.rate * none.whole_ms
    return cores / (all_.whole_ms + (1 - share) * (none.whole_ms - all_.whole_ms))


def _mixed(share: float) -> Make:
    """Bodies of which a share repeats; which ones is the same each time."""
    turns = itertools.count(1)

    def make() -> bytes:
        turn = next(turns)
        repeats = int(turn * share) > int((turn - 1) * share)
        return body(-1 - turn % _REPEATED) if repeats else different()

    return make


if __name__ == "__main__":
    main()
