"""The command line of `tureen optimize`. It imports fast: the help needs nothing else."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ABOUT = """\
Make a faster version of a model that answers the same. It tries graph optimisation and INT8, measures each on this
machine, and writes the fastest as the next version: only if enough of your pictures get the same answer. A report with
all figures is stored beside it.

INT8 needs pictures: a few hundred that look like those you serve. A third calibrates, the others are compared.
"""

EXAMPLES = """\
examples:
  tureen optimize models/food --calibrate photos/      models/food/2 from models/food/1, with its proof
  tureen optimize models/food --calibrate photos/ --agree 95%
  tureen optimize models/food                          what needs no pictures
  tureen optimize models/food --recipe models/food/2/optimize.toml --out rebuilt/
                                                       the same file again

exit code: 0 written, 1 nothing written (no gain, the gate was missed, an error), 2 usage error.
Needs pip install 'tureen[optimize]'. Run it on a machine like the one that serves. docs/optimize.md has figures.
"""

PROVIDERS = ("cpu", "openvino", "tensorrt")
_AGREE = 0.99


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. `agree`: 0 to 1; 0 asks for nothing. `calibrate`: a folder, or the URL of a store."""

    model: Path
    calibrate: str
    s3_endpoint: str
    source: str | None
    agree: float
    prune: float
    provider: str
    out: Path | None
    recipe: Path | None
    json: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's arguments."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model folder or an .onnx file")
    parser.add_argument(
        "--calibrate", metavar="FOLDER|STORE", default="", help="pictures: a folder, or s3://BUCKET/PREFIX"
    )
    parser.add_argument("--s3-endpoint", metavar="URL", default="", help="of a server compatible with S3")
    parser.add_argument(
        "--source", metavar="REGEX", type=_pattern,
        help="what of a picture's name, as its first group, names the photo it was cut from (default: all before -crop1"
        " and the like)",
    )  # fmt: skip
    parser.add_argument(
        "--agree", metavar="SHARE", type=_share, default=_AGREE,
        help="share of the pictures that must get the same answer, shown with 95%% confidence (default: 99%%; 0"
        " asks for nothing)",
    )  # fmt: skip
    parser.add_argument(
        "--prune",
        metavar="SHARE",
        type=_share,
        default=0.0,
        help="also try with this share of each layer's weights, the smallest, set to zero (default: none)",
    )
    parser.add_argument(
        "--provider", choices=PROVIDERS, default="cpu", help="what runs the model (default: cpu); others need a build"
        " of ONNX Runtime that has them",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", type=Path, help="write DIR/NAME/VERSION (default: beside the original)")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="do what this optimize.toml says, and nothing else")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def parse(argv: Sequence[str]) -> Options:
    """Read the words after `optimize`. Raises `SystemExit` with 2 after what is wrong."""
    parser = argparse.ArgumentParser(prog="tureen optimize", allow_abbrev=False)
    add_arguments(parser)
    return Options(**vars(parser.parse_args(argv)))


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"must be a share below 100%, such as 99% or 0.99, got {text!r}")
    return share


def _pattern(text: str) -> str:
    try:
        if re.compile(text).groups:
            return text
    except re.error:
        pass
    raise argparse.ArgumentTypeError(f"must be a regular expression with a group, got {text!r}")
