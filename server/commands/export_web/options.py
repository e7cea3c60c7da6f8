"""The command line of `tureen export-web`. It imports fast: the help needs nothing else."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "onnxruntime-web"
TESTED = "1.30.0"

ABOUT = f"""\
Write a static page that runs a model in the browser, on images that never leave it. It prepares images by the model's
own recipe. The page needs no server but one for files. It takes ONNX Runtime for WebAssembly from npm's package
{PACKAGE}, which you fetch first; the export itself fetches nothing.
"""

EXAMPLES = f"""\
examples:
  npm install --ignore-scripts {PACKAGE}@{TESTED}
  tureen export-web models/food site/
  python3 -m http.server --directory site/             and open http://127.0.0.1:8000

exit code: 0 written, 1 not, 2 usage error.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. `runtime`: the folder of the package."""

    model: Path
    target: Path
    runtime: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an .onnx file, NAME/ or NAME/VERSION/")
    parser.add_argument("target", type=Path, metavar="DIR", help="where to write; made if missing")
    parser.add_argument(
        "--runtime", type=Path, metavar="DIR", default=Path("node_modules") / PACKAGE,
        help=f"npm's package {PACKAGE}, unpacked (default: node_modules/{PACKAGE})",
    )  # fmt: skip


def parse(argv: Sequence[str]) -> Options:
    """Read the words after `export-web`. Raises `SystemExit` with 2 after one that is wrong."""
    parser = argparse.ArgumentParser(
        prog="tureen export-web", description=ABOUT, epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_arguments(parser)
    return Options(**vars(parser.parse_args(argv)))
