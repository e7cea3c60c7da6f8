"""Photo-like JPEGs: the same bytes each time for a size and a seed, and about as many as a photo has.

A decoder's time follows the bytes as well as the pixels, so each picture gets as much fine noise as brings
it to the bytes a pixel that photos of its size have.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 85
_NEAR = 0.03  # of the wanted size: near enough
_STEPS = 12  # of the search for the noise
_MOST_NOISE = 60.0  # of 255, standard deviation
_SAMPLE = (1024, 768)  # pixels: what the search looks at of a larger picture
# (pixels, bytes a pixel): what photos of about that many pixels have; between the rows, in proportion.
_DENSITY = ((320 * 240, 0.26), (1024 * 768, 0.19), (4000 * 3000, 0.29))


def photo(width: int, height: int, seed: int) -> bytes:
    """A JPEG of quality 85, 4:2:0, of about `typical_bytes(width, height)`."""
    random = np.random.default_rng([width, height, seed])
    structure = _structure(random, width, height)
    grain = random.standard_normal((height, width), dtype=np.float32)
    columns, rows = min(width, _SAMPLE[0]), min(height, _SAMPLE[1])
    left, top = (width - columns) // 2, (height - rows) // 2
    within = (slice(top, top + rows), slice(left, left + columns))
    wanted = typical_bytes(width, height) * (columns * rows) / (width * height)
    return _jpeg(_grained(structure, grain, _noise(structure[within], grain[within], wanted)))


def typical_bytes(width: int, height: int) -> int:
    """How large a photo's JPEG of this size is."""
    pixels, densities = zip(*_DENSITY, strict=True)
    return round(width * height * float(np.interp(width * height, pixels, densities)))


def _structure(random: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Smooth shapes of every size, the small ones fainter, as in photos; of a large picture, the large ones only."""
    shrink = max(1, width // _SAMPLE[0], height // _SAMPLE[0])
    wide, high = width // shrink, height // shrink
    picture = np.full((high, wide, 3), 118, np.float32)
    cells = 3
    while cells < max(wide, high) / 4:
        rows = max(2, cells * high // wide)
        coarse = random.uniform(-1, 1, (rows, cells, 3)).astype(np.float32)
        picture += _scaled(coarse, wide, high) * np.float32(150 / cells**0.8)
        cells *= 2
    return picture if shrink == 1 else _scaled(picture, width, height)


def _scaled(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    planes = [Image.fromarray(np.ascontiguousarray(values[..., channel])) for channel in range(3)]
    large = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC)) for plane in planes]
    return np.stack(large, axis=-1)


def _noise(structure: NDArray[np.float32], grain: NDArray[np.float32], wanted: float) -> float:
    """So much of `grain` that the JPEG of both has about `wanted` bytes, as far as that goes."""
    low, high = 0.0, _MOST_NOISE
    noise = 0.0
    for _ in range(_STEPS):
        noise = (low + high) / 2
        size = len(_jpeg(_grained(structure, grain, noise)))
        if abs(size - wanted) <= wanted * _NEAR:
            break
        low, high = (noise, high) if size < wanted else (low, noise)
    return noise


def _grained(structure: NDArray[np.float32], grain: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Both together. Channel by channel: numpy is slow where the last axis is a short one."""
    values = structure.copy()
    for channel in range(3):
        values[..., channel] += grain * np.float32(noise)
    return values


def _jpeg(values: NDArray[np.float32]) -> bytes:
    """Uses up `values`."""
    file = io.BytesIO()
    picture = Image.fromarray(values.clip(0, 255, out=values).astype(np.uint8))
    picture.save(file, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return file.getvalue()
