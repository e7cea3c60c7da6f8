"""Pictures for warming up: very different ones, made on the spot."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 32  # pixels; resized to what the model takes
_PHOTO = (640, 480)  # pixels: as phones' uploads are, once an app has made them smaller


def photo() -> bytes:
    """A JPEG with the look of a photo to a decoder: large soft shapes, and some grain."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    shapes = Image.fromarray(colours).resize(_PHOTO, Image.Resampling.BICUBIC)
    grain = random.integers(-6, 7, (_PHOTO[1], _PHOTO[0], 1), dtype=np.int16)
    pixels = np.clip(np.asarray(shapes, np.int16) + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return out.getvalue()


def soft_pictures() -> list[bytes]:
    """Large soft shapes, dull and bright ones, as PNG: what a model makes of photos, it makes of these as well."""
    random = np.random.default_rng(1)
    made = []
    for least, most in ((0, 256), (40, 120), (90, 160), (120, 230)):
        colours = random.integers(least, most, (3, 4, 3), dtype=np.uint8)
        made.append(_png(np.asarray(Image.fromarray(colours).resize((64, 48), Image.Resampling.BICUBIC))))
    return made


def pictures() -> list[bytes]:
    """Black, white, a gradient and two of noise, as PNG."""
    slope = np.linspace(0, 255, _SIDE, dtype=np.uint8)
    gradient = np.stack([*np.meshgrid(slope, slope), np.full((_SIDE, _SIDE), 64, np.uint8)], axis=-1)
    noise = np.random.default_rng(0).integers(0, 256, (2, _SIDE, _SIDE, 3), dtype=np.uint8)
    flat = [np.full((_SIDE, _SIDE, 3), level, np.uint8) for level in (0, 255)]
    return [_png(picture) for picture in (*flat, gradient, *noise)]


def _png(picture: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()
