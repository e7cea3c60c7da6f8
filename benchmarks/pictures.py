"""Photo-like JPEGs: the same bytes each time for a size and a seed, and about as many as a photo has.

A decoder's time follows the bytes as well as the pixels, so each picture gets as much fine noise as brings
it to the bytes a pixel that photos of its size have.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 85
_NEAR = 0.03  # of the wanted size: near enough
_STEPS = 12  # of the search for the noise
_MOST_NOISE = 60.0  # of 255, standard deviation
# (pixels, bytes a pixel): what photos of about that many pixels have; between the rows, in proportion.
_DENSITY = ((320 * 240, 0.26), (1024 * 768, 0.19), (4000 * 3000, 0.29))


def photo(width: int, height: int, seed: int) -> bytes:
    """A JPEG of quality 85, 4:2:0, of about `typical_bytes(width, height)`."""
    random = np.random.default_rng([width, height, seed])
    structure = _structure(random, width, height)
    grain = random.standard_normal((height, width, 1), dtype=np.float32)
    return _of_size(structure, grain, typical_bytes(width, height))


def typical_bytes(width: int, height: int) -> int:
    """How large a photo's JPEG of this size is."""
    pixels, densities = zip(*_DENSITY, strict=True)
    return round(width * height * float(np.interp(width * height, pixels, densities)))


def _structure(random: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Smooth shapes of every size, the small ones fainter, as in photos."""
    picture = np.full((height, width, 3), 118, np.float32)
    cells = 3
    while cells < max(width, height) / 4:
        rows = max(2, cells * height // width)
        coarse = random.uniform(-1, 1, (rows, cells, 3)).astype(np.float32)
        for channel in range(3):
            plane = Image.fromarray(coarse[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            picture[..., channel] += np.asarray(plane) * (150 / cells**0.8)
        cells *= 2
    return picture


def _of_size(structure: NDArray[np.float32], grain: NDArray[np.float32], wanted: int) -> bytes:
    """`structure` with so much of `grain` that its JPEG has about `wanted` bytes, as far as that goes."""
    low, high = 0.0, _MOST_NOISE
    data = b""
    for _ in range(_STEPS):
        noise = (low + high) / 2
        data = _jpeg(structure + grain * np.float32(noise))
        if abs(len(data) - wanted) <= wanted * _NEAR:
            break
        low, high = (noise, high) if len(data) < wanted else (low, noise)
    return data


def _jpeg(values: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    picture.save(file, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return file.getvalue()


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
