"""The command line of `tureen validate`. It imports fast: the help needs nothing else."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.units import DURATION, NUMBER, SIZE, Number

ABOUT = """\
Check a model before it is released: its files, size and card, its answers to golden images, its agreement with
another version, and its latency. It runs as it would be served, in one worker of one thread.
"""

EXAMPLES = """\
examples:
  tureen validate models/food                          the default version, against its golden images
  tureen validate models/food/4 --against models/food/3 --agreement 0.98 --images photos/
  tureen validate models/food/4 --latency 50ms --max-size 100MB --strict --json report.json

exit code: 0 every check passed, 1 a check failed, 2 usage error.
"""

AGREEMENT = 0.95


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. `latency_s` None: the deadline of the card, or of the server's default."""

    model: Path
    against: Path | None
    images: Path | None
    agreement: float
    latency_s: float | None
    max_size: int | None
    strict: bool
    json: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an .onnx file, NAME/ or NAME/VERSION/")
    parser.add_argument("--against", type=Path, metavar="MODEL", help="the version to agree with, as MODEL")
    parser.add_argument(
        "--agreement", type=_share, default=AGREEMENT, metavar="SHARE",
        help=f"share of images that both must answer alike (default: {AGREEMENT})",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="images to compare and to time, beside the golden ones"
    )
    parser.add_argument(
        "--latency", type=_duration, metavar="DURATION",
        help="95 %% of the images must take no longer to decode and run (default: the model's deadline)",
    )  # fmt: skip
    parser.add_argument("--max-size", type=_size, metavar="SIZE", help="most bytes of the model with its weights")
    parser.add_argument("--strict", action="store_true", help="a warning fails, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings; - is standard output")


def parse(argv: Sequence[str]) -> Options:
    """Read the words after `validate`. Raises `SystemExit` with 2 after one that is wrong."""
    parser = argparse.ArgumentParser(
        prog="tureen validate", description=ABOUT, epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_arguments(parser)
    known = vars(parser.parse_args(argv))
    return Options(latency_s=known.pop("latency"), **known)


def _share(text: str) -> float:
    return _within(NUMBER, text, 0.0, 1.0)


def _duration(text: str) -> float:
    return _within(DURATION, text, 0.001, 600.0)


def _size(text: str) -> int:
    return int(_within(SIZE, text, 1.0, float("inf")))


def _within(kind: Number, text: str, least: float, most: float) -> float:
    try:
        value = kind.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: must be from {kind.show(least)} to {most:g}")
    return value
