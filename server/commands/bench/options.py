"""The command line of `tureen bench`. It imports fast: the help loads nothing that measuring needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from server.commands.bench.target import Target, parse_header, parse_url
from server.units import DURATION

ABOUT = """\
Measure a server that takes images by POST: does it meet its deadline, and up to what rate?

With --rate, requests are sent at planned times, like those of many strangers (open loop). Latency counts from the
planned time, so stalls are not hidden. Without --rate, each of --connections sends again when it has its answer (closed
loop): that shows throughput, and hides stalls.
"""

EXAMPLES = """\
examples:
  tureen bench http://127.0.0.1:8080 --rate 50                 50 images/s, 99 % of them within 1 s?
  tureen bench http://127.0.0.1:8080 --rate 50,100,200         one rate after the other
  tureen bench http://127.0.0.1:8080 --find-capacity           the highest rate that meets the deadline
  tureen bench http://127.0.0.1:8080 --connections 32          throughput of a closed loop
  tureen bench http://127.0.0.1:8080 --rate 50 --images photos --expect labels.json --report bench.html

exit code: 0 the promise was kept, 1 it was not, 2 the measurement is invalid (server absent, wrong answers, client
saturated). docs/bench.md explains the table.
"""

T = TypeVar("T")

_REUSE = ("Cache-Control", "max-stale")
_CLOSED, _OPEN = 32, 1000  # connections, unless told
_LEAST_TIMEOUT_S, _TIMEOUT_SLOS = 2.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. `rates` is empty in a closed loop, and where the search finds its own start."""

    target: Target
    rates: Sequence[float]
    find_capacity: bool
    connections: int
    pattern: str
    duration_s: float
    warmup_s: float
    slo_s: float
    quantile: float
    timeout_s: float
    images: Path | None
    expect: Path | None
    headers: Sequence[tuple[str, str]]
    multipart: bool
    allow_cached: bool
    processes: int  # 0: as many as it takes
    seed: int
    json: Path | None
    report: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All arguments, by topic."""
    parser.add_argument("target", type=_told(parse_url), metavar="URL", help="the server; without a path, /v1/images")
    load = parser.add_argument_group("load")
    load.add_argument(
        "--rate", type=_rates, default=(), metavar="NUMBER[,...]",
        help="images/s of an open loop; several are measured in turn",
    )  # fmt: skip
    load.add_argument(
        "--arrivals", choices=("poisson", "constant"), default="poisson",
        help="arrivals of an open loop: random (poisson, the default) or evenly spaced",
    )  # fmt: skip
    load.add_argument(
        "--connections", type=_count, metavar="NUMBER",
        help=f"connections in a closed loop (default: {_CLOSED}); most connections in an open one (default: {_OPEN})",
    )  # fmt: skip
    load.add_argument(
        "--duration",
        type=_duration,
        default=10.0,
        metavar="DURATION",
        help="length of the measured part (default: 10s)",
    )
    load.add_argument(
        "--warmup", type=_duration_or_zero, default=1.0, metavar="DURATION", help="time before it (default: 1s)"
    )
    load.add_argument(
        "--find-capacity", action="store_true",
        help="search for the highest rate that keeps the promise, in trials of --duration, starting at --rate",
    )  # fmt: skip
    load.add_argument("--seed", type=int, default=0, metavar="NUMBER", help="seed of arrivals and order (default: 0)")
    load.add_argument(
        "--processes", type=_count, default=0, metavar="NUMBER", help="client processes (default: as many as needed)"
    )

    images = parser.add_argument_group("images")
    images.add_argument(
        "--images", type=Path, metavar="DIR",
        help="folder of images to send in equal shares (default: generated ones, 320x240, 1024x768 and 4000x3000)",
    )  # fmt: skip
    images.add_argument(
        "--expect", type=Path, metavar="FILE.json",
        help='the expected top labels, {"photo.jpg": "label", ...}: one wrong answer invalidates the measurement',
    )  # fmt: skip
    images.add_argument("--multipart", action="store_true", help="send forms instead of raw bodies")
    images.add_argument(
        "--allow-cached", action="store_true",
        help="let the server answer from its cache (default: requests say no-store)",
    )  # fmt: skip
    images.add_argument(
        "--header", type=_told(parse_header), action="append", default=[], metavar="'NAME: VALUE'",
        help="header of every request; may be repeated",
    )  # fmt: skip

    promise = parser.add_argument_group("promise")
    promise.add_argument(
        "--slo", type=_duration, default=1.0, metavar="DURATION", help="deadline of an answer (default: 1s)"
    )
    promise.add_argument(
        "--quantile", type=_share, default=0.99, metavar="SHARE",
        help="share of all offered images that must get a 200 within it (default: 0.99)",
    )  # fmt: skip
    promise.add_argument(
        "--timeout", type=_duration, metavar="DURATION",
        help="time after which the client gives up (default: five times --slo, at least 2s)",
    )  # fmt: skip

    out = parser.add_argument_group("output")
    out.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    out.add_argument("--report", type=Path, metavar="FILE.html", help="write a page with plots (extra: tureen[report])")


def parse(argv: Sequence[str]) -> Options:
    """Read the words after `bench`. Raises SystemExit, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="tureen bench",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_arguments(parser)
    given = parser.parse_args(argv)
    if given.find_capacity and len(given.rate) > 1:
        parser.error("argument --find-capacity: begins at one --rate, not at several")
    if given.expect and not given.images:
        parser.error("argument --expect: names files of --images, which is missing")
    is_open = bool(given.rate) or given.find_capacity
    return Options(
        target=given.target,
        rates=given.rate,
        find_capacity=given.find_capacity,
        connections=given.connections or (_OPEN if is_open else _CLOSED),
        pattern=given.arrivals,
        duration_s=given.duration,
        warmup_s=given.warmup,
        slo_s=given.slo,
        quantile=given.quantile,
        timeout_s=given.timeout or max(_LEAST_TIMEOUT_S, _TIMEOUT_SLOS * given.slo),
        images=given.images,
        expect=given.expect,
        headers=[_REUSE, *given.header] if given.allow_cached else given.header,
        allow_cached=given.allow_cached,
        multipart=given.multipart,
        processes=given.processes,
        seed=given.seed,
        json=given.json,
        report=given.report,
    )


def _told(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read`, whose ValueError says what was wrong, for argparse, which would not repeat it."""

    def reader(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader


def _seconds(text: str) -> float:
    try:
        return DURATION.read(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error} (such as {DURATION.examples})") from None


def _above_zero(value: float, text: str) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"must be above 0, got {text}")
    return value


_duration_or_zero = _told(_seconds)
_duration = _told(lambda text: _above_zero(_seconds(text), text))
_rates = _told(lambda text: tuple(_above_zero(_number(one), one) for one in text.split(",")))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return int(text)


def _share(text: str) -> float:
    value = _told(_number)(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {text}")
    return value
