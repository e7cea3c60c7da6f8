"""What an answer costs while S3 is down, or Redis hangs: `python -m benchmarks.away`.

Beside each such server stand two equal ones whose S3 or Redis is well: how far these two are apart is chance.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import stand_ins
from benchmarks.bursts import Make, Shape, different, show, take_turns
from benchmarks.served import Served, free_port, serving, tureen

_LAYOUT = ("--workers", "1", "--threads", "1")


def main() -> None:
    """Print a table for each."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end
    parser = argparse.ArgumentParser(prog="python -m benchmarks.away", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=250, help="per burst")
    parser.add_argument("--part", choices=("s3", "redis"), help="only this table")
    given = parser.parse_args()
    shape = Shape(given.rounds, given.requests, pause=1.0)
    if given.part != "redis":
        _s3(shape)
    if given.part != "s3":
        _redis(shape)


def _s3(shape: Shape) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "weed").mkdir()
        well = stack.enter_context(stand_ins.seaweedfs(folder / "weed")).url
        urls = {"S3": well, "S3, once more": well, "S3 down": f"http://127.0.0.1:{free_port()}"}
        servers: dict[str, tuple[Served, Make]] = {}
        for number, (name, url) in enumerate(urls.items()):
            store = ("--store", f"s3://{stand_ins.BUCKET}/{number}", "--s3-endpoint", url)
            flags = (*_LAYOUT, "--cache", "off", *store, "--spool-dir", str(folder / f"spool{number}"))
            servers[name] = stack.enter_context(serving(tureen(flags), environ=stand_ins.AWS)), different
        show("all different, at half of capacity", take_turns(servers, shape))


def _redis(shape: Shape) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: dict[str, tuple[Served, Make]] = {}
        for name in ("Redis", "Redis, once more", "Redis hung"):
            redis = stack.enter_context(stand_ins.redis(folder))
            flags = (*_LAYOUT, "--cache", redis.url)
            servers[name] = stack.enter_context(serving(tureen(flags))), different
            if name == "Redis hung":
                redis.process.send_signal(signal.SIGSTOP)
        show("all different, at half of capacity", take_turns(servers, shape))


if __name__ == "__main__":
    main()
