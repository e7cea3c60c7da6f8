"""The pictures to measure with, written to files: `python -m benchmarks.pictures 1024 768 OUT.jpg`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from server.commands.bench.photos import photo


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pictures", description="Write a photo-like JPEG to measure with."
    )
    parser.add_argument("width", type=int, help="pixels")
    parser.add_argument("height", type=int, help="pixels")
    parser.add_argument("path", type=Path, metavar="OUT.jpg", help="where to")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another picture (default: 0)")
    given = parser.parse_args(argv)
    given.path.write_bytes(photo(given.width, given.height, given.seed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
