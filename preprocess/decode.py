"""Bytes to pixels: opaque, 8 bits, RGB or grey, and no larger than needed. For workers only.

One parser runs, the one that `read_header` chose by content; Pillow never guesses a format. Whatever Pillow
raises becomes an `ImageError` at one boundary, `decode`.

To add a format: a row in `_CODECS`, beside the one in `preprocess.header`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from preprocess import jpeg, png
from preprocess.errors import CorruptImage, ImageError, TruncatedImage
from preprocess.exif import orientation
from preprocess.header import Format, Header, read_header
from preprocess.limits import Limits

# Pillow's own limit is one for the process and only warns at first. Ours is checked before anything is
# opened, and the opened size must agree with it. `LOAD_TRUNCATED_IMAGES` stays unset: half a picture is not
# an answer.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of flaws in metadata, in words that the file chooses: no use to us, and they would fill a log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Size = tuple[int, int]  # width, height in pixels
Extent = tuple[float, float]  # the same, where scaling has left a fraction

_SPARE = 2  # a picture is averaged down to no less than this many times the target; the resize does the rest

# To the 8 bits of the decoded picture; Pillow has seen to a depth of 1 itself.
_KEY_SCALES = {2: 255 / 3, 4: 255 / 15, 16: 1 / 256}


class _Codec(NamedTuple):
    check: Callable[[bytes, Limits], None]  # the whole file, before any pixel
    open: Callable[[io.BytesIO], ImageFile]


# The classes themselves rather than `Image.open(formats=...)`, which takes some JPEGs for other formats
# (MPO) and fails on what it finds in them then.
_CODECS: dict[Format, _Codec] = {
    "jpeg": _Codec(jpeg.check, JpegImageFile),
    "png": _Codec(png.check, PngImageFile),
}

_TURNS: dict[int, Image.Transpose] = {  # by EXIF orientation; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset(_TURNS[value] for value in (5, 6, 7, 8))


class Picture(NamedTuple):
    """A decoded picture, lying as it was stored: turning it is cheapest once it is small."""

    image: Image.Image  # of mode RGB or L
    extent: Extent  # its exact size: of the last column and row of `image`, scaling may have filled up a part
    turn: Image.Transpose | None  # what sets it upright

    @property
    def sideways(self) -> bool:
        """Whether turning it swaps width and height."""
        return self.turn in _SIDEWAYS

    def upright(self) -> Image.Image:
        return self.image if self.turn is None else self.image.transpose(self.turn)


def decode(data: bytes | bytearray | memoryview, target: Size | None, limits: Limits) -> Picture:
    """Decode `data`; transparency is shown over white, of an animation the first picture.

    `target` lets a larger picture be decoded at a fraction of its size, neither upright side below that of
    `target` (unless it was before); None decodes in full.

    Raises ImageError: a leaf, see `preprocess.errors`.
    """
    header = read_header(data, limits)
    raw = bytes(data)  # no copy where it is bytes already
    _CODECS[header.format].check(raw, limits)
    try:
        return _picture(raw, header, target)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # a bad file gives OSError, SyntaxError, ValueError, ...
        raise _translate(error) from error


def _translate(error: Exception) -> ImageError:
    """Pillow tells a file that ends early by its message only."""
    if "truncated" in str(error).lower():
        return TruncatedImage()
    return CorruptImage()


def _picture(raw: bytes, header: Header, target: Size | None) -> Picture:
    image = _CODECS[header.format].open(io.BytesIO(raw))
    if image.size != (header.width, header.height):  # two readings of one file: trust neither
        raise CorruptImage
    extent: Extent = image.size
    if target and (draft := image.draft(None, _as_stored(target, _turn(image)))):
        extent = draft[1][2:]
    image.load()
    turn = _turn(image)  # again: in a PNG it may follow the pixels
    plain = _averageable(image, png.depth(raw) if header.format == "png" else 8)
    if target:
        plain, extent = _shrunk(plain, extent, _as_stored(target, turn))
    return Picture(_opaque(plain), extent, turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    block = image.info.get("exif")
    return _TURNS.get(orientation(block)) if isinstance(block, bytes) else None


def _as_stored(target: Size, turn: Image.Transpose | None) -> Size:
    return (target[1], target[0]) if turn in _SIDEWAYS else target


def _averageable(image: Image.Image, depth: int) -> Image.Image:
    """`image` in a mode whose values may be averaged: L, LA, RGB, RGBA or CMYK.

    Palette indices, single bits, 16-bit samples and a colour that stands for "transparent" may not. `depth`
    is the file's number of bits a sample.
    """
    key = image.info.get("transparency")
    if image.mode == "P":
        return image.convert("RGB" if key is None else "RGBA")
    if image.mode == "I;16":  # Pillow's own conversion would clip at 255
        image = Image.fromarray(_high_bytes(np.asarray(image)))
    if key is not None:
        return _keyed(image, key, depth)
    return image.convert("L") if image.mode == "1" else image


def _high_bytes(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """16 bits as 8, the way Pillow does it with colour."""
    return (samples >> 8).astype(np.uint8)


def _keyed(image: Image.Image, key: int | tuple[int, ...], depth: int) -> Image.Image:
    """`image` with alpha 0 where its colour is `key`, in samples of `depth` bits as the file has it."""
    scale = _KEY_SCALES.get(depth, 1)
    image.info["transparency"] = (
        tuple(int(sample * scale) for sample in key) if isinstance(key, tuple) else int(key * scale)
    )
    return image.convert("RGBA" if image.mode == "RGB" else "LA")


def _shrunk(image: Image.Image, extent: Extent, target: Size) -> tuple[Image.Image, Extent]:
    """Average `image` by a whole factor, neither side falling below `_SPARE` times `target`."""
    factor = min(image.width // (target[0] * _SPARE), image.height // (target[1] * _SPARE))
    if factor < 2:
        return image, extent
    return image.reduce(factor), (extent[0] / factor, extent[1] / factor)


def _opaque(picture: Image.Image) -> Image.Image:
    """`picture` as RGB or L, over white where it is transparent."""
    if picture.mode in ("LA", "RGBA"):
        alpha = picture.getchannel("A")
        plain = picture.convert(picture.mode.removesuffix("A"))
        plain.paste(255 if plain.mode == "L" else (255, 255, 255), mask=ImageChops.invert(alpha))
        return plain
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
