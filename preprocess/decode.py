"""Bytes to pixels: opaque, 8 bits, RGB or grey, and no larger than needed. For workers only.

One parser runs, the one that `read_header` chose by content; Pillow never guesses a format. Whatever Pillow
raises becomes an `ImageError` at one boundary, `decode`.

To add a format: a row in `_CODECS`, beside the one in `preprocess.header`.
"""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageChops
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from preprocess import bitmap
from preprocess.colour import to_srgb
from preprocess.cost import decode_seconds
from preprocess.errors import CorruptImage, CostlyImage, ImageError, TruncatedImage
from preprocess.exif import orientation
from preprocess.formats import bmp, gif, heif, jpeg, png, webp
from preprocess.formats.outline import Extract
from preprocess.frame import Frame
from preprocess.header import Format, Header, read_header
from preprocess.limits import Limits

# Pillow's own limit is one for the process and only warns at first. Ours is checked before anything is
# opened, and the opened size must agree with it. `LOAD_TRUNCATED_IMAGES` stays unset: half a picture is not
# an answer.
Image.MAX_IMAGE_PIXELS = None
# A worker is meant to fill one core.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Pillow warns of flaws in metadata, in words that the file chooses: no use to us, and they would fill a log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Allow = Callable[[float], float]
"""Told the CPU seconds that decoding should take, right before it begins; says how many it may take."""

Size = tuple[int, int]  # width, height in pixels
Extent = tuple[float, float]  # the same, where scaling has left a fraction

_SPARE = 2  # a picture is averaged down to no less than this many times the target; the resize does the rest

_MODES = {"1": "L", "RGBa": "RGBA", "La": "LA"}  # the last two: colour already multiplied by alpha
_WHITE: dict[str, int | tuple[int, ...]] = {"L": 255, "LA": (255,) * 2, "RGB": (255,) * 3, "RGBA": (255,) * 4}

# To the 8 bits of the decoded picture; Pillow has seen to a depth of 1 itself.
_KEY_SCALES = {2: 255 / 3, 4: 255 / 15, 16: 1 / 256}


class _Codec(NamedTuple):
    check: Callable[[bytes, Limits], None]  # the whole file, before any pixel
    extract: Callable[[bytes, Limits], Extract]
    open: Callable[[io.BytesIO], Image.Image]


class _Metered(io.BytesIO):
    """A file for a decoder that reads piece by piece (JPEG, PNG, GIF): it gets no more once its time is over."""

    def __init__(self, data: bytes, allowed_s: float) -> None:
        super().__init__(data)
        self._until = time.thread_time() + allowed_s
        self._not_before = time.monotonic() + allowed_s

    def read(self, size: int | None = -1, /) -> bytes:
        # A thread uses no more CPU than time passes, and unlike the CPU's the usual clock costs no system call.
        if time.monotonic() > self._not_before and time.thread_time() > self._until:
            raise CostlyImage
        return super().read(size)


def _open_bmp(file: io.BytesIO) -> Image.Image:
    return bitmap.load(file.getvalue())


def _open_heic(file: io.BytesIO) -> Image.Image:
    """Loaded when it is needed first: most servers never see one, and it is the largest of all."""
    from pillow_heif import HeifImageFile, options

    options.DECODE_THREADS = 1
    # What else the file holds may be another picture: it is not looked at.
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    image: Image.Image = HeifImageFile(file)  # type: ignore[no-untyped-call]  # its signature is `*args, **kwargs`
    return image


# The classes themselves rather than `Image.open(formats=...)`, which takes some JPEGs for other formats
# (MPO) and fails on what it finds in them then.
_CODECS: dict[Format, _Codec] = {
    "jpeg": _Codec(jpeg.check, jpeg.extract, JpegImageFile),
    "png": _Codec(png.check, png.extract, PngImageFile),
    "webp": _Codec(webp.check, webp.extract, WebPImageFile),
    "gif": _Codec(gif.check, gif.extract, GifImageFile),
    "bmp": _Codec(bmp.check, bmp.extract, _open_bmp),
    "avif": _Codec(heif.check, heif.extract, AvifImageFile),
    "heic": _Codec(heif.check, heif.extract, _open_heic),
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
    """A decoded picture, as it was stored: turning it and mending its colours is cheapest once it is small."""

    image: Image.Image  # of mode RGB or L
    extent: Extent  # its exact size: of the last column and row of `image`, scaling may have filled up a part
    turn: Image.Transpose | None  # what sets it upright
    profile: bytes | None = None  # of its colours; None if they are sRGB already

    @property
    def sideways(self) -> bool:
        """Whether turning it swaps width and height."""
        return self.turn in _SIDEWAYS

    def upright(self) -> Image.Image:
        """In sRGB, and the right way up."""
        image = to_srgb(self.image, self.profile)
        return image if self.turn is None else image.transpose(self.turn)


def decode(
    data: bytes | bytearray | memoryview, target: Size | None, limits: Limits, allow: Allow | None = None
) -> Picture:
    """Decode `data`; transparency is shown over white, of an animation the first picture.

    `target` lets a larger picture be decoded at a fraction of its size, neither upright side below that of
    `target` (unless it was before); None decodes in full. A decoder that reads piece by piece stops after the CPU
    seconds that `allow` gives; no other can be stopped.

    Raises ImageError: a leaf, see `preprocess.errors`.
    """
    header = read_header(data, limits)
    raw = bytes(data)  # no copy where it is bytes already
    _CODECS[header.format].check(raw, limits)
    allowed = allow(decode_seconds(header, len(raw))) if allow else math.inf
    try:
        return _picture(raw, header, target, limits, allowed)
    except ImageError:
        raise
    except MemoryError as error:
        raise CostlyImage from error
    except Exception as error:  # a bad file gives OSError, SyntaxError, ValueError, ...
        raise _translate(error) from error


def _translate(error: Exception) -> ImageError:
    """Decoders tell a file that ends early, and some tell a lack of memory, by their message only."""
    message = str(error).lower()
    if "out of memory" in message:
        return CostlyImage()
    return TruncatedImage() if "truncated" in message or "end of file" in message else CorruptImage()


def _picture(raw: bytes, header: Header, target: Size | None, limits: Limits, allowed_s: float) -> Picture:
    codec = _CODECS[header.format]
    extract = codec.extract(raw, limits)
    image = codec.open(_Metered(extract.data, allowed_s))
    _require_agreement(image.size, header)
    extent: Extent = image.size
    turn = _turn(extract, image)
    if target and (draft := image.draft(None, _as_stored(target, turn))):
        extent = draft[1][2:]
    expected = image.size
    image.load()
    if image.size != expected:
        raise CorruptImage
    if extract.crop:
        image = _cropped(image, extract.crop)
        extent = image.size
    plain = _averageable(image, png.depth(raw) if header.format == "png" else 8)
    plain = _on_canvas(plain, extract.frame)
    if target:
        plain, extent = _shrunk(plain, extent, _as_stored(target, turn))
    profile = extract.profile or image.info.get("icc_profile")
    if plain.mode in ("L", "RGB"):
        return Picture(plain, extent, turn, profile)
    return Picture(_opaque(to_srgb(plain, profile)), extent, turn)


def _cropped(image: Image.Image, crop: Frame) -> Image.Image:
    cropped = image.crop(crop)
    cropped.info = image.info
    return cropped


def _require_agreement(size: Size, header: Header) -> None:
    """Raise CorruptImage where two readings of one file differ: trust neither."""
    promised = (header.width, header.height)
    if size == promised:
        return
    if header.format == "heic" and min(size) <= min(promised) and max(size) <= max(promised):
        return  # already turned and cropped, which the header does not show
    raise CorruptImage


def _turn(extract: Extract, image: Image.Image) -> Image.Transpose | None:
    if extract.orientation is not None:
        return _TURNS.get(extract.orientation)
    block = extract.exif or image.info.get("exif")
    return _TURNS.get(orientation(block)) if isinstance(block, bytes) else None


def _as_stored(target: Size, turn: Image.Transpose | None) -> Size:
    return (target[1], target[0]) if turn in _SIDEWAYS else target


def _averageable(image: Image.Image, depth: int) -> Image.Image:
    """`image` in a mode whose values may be averaged: L, LA, RGB, RGBA or CMYK, whatever the decoder gave.

    Palette indices, single bits, 16-bit samples and a colour that stands for "transparent" may not. `depth`
    is the file's number of bits a sample.
    """
    key = image.info.get("transparency")
    if image.mode == "P":
        return image.convert("RGB" if key is None else "RGBA")
    if image.mode == "I;16":  # Pillow's own conversion would clip at 255
        samples = np.asarray(image)
        image = Image.fromarray(_high_bytes(samples))
        if key is not None:  # one of 65,536 values, before they are 256
            image.putalpha(Image.fromarray((samples != key).view(np.uint8) * np.uint8(255)))
        return image
    if key is not None:
        return _keyed(image, key, depth)
    mode = _MODES.get(image.mode)
    return image.convert(mode) if mode else image


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


def _on_canvas(image: Image.Image, frame: Frame | None) -> Image.Image:
    """`image` in white where `frame` does not cover it: the canvas is clear there, and Pillow may fill it."""
    if frame is None or frame == (0, 0, *image.size):
        return image
    if frame.right > image.width or frame.bottom > image.height:  # cropping to it would make it that large
        raise CorruptImage
    canvas = Image.new(image.mode, image.size, _WHITE[image.mode])
    canvas.paste(image.crop(frame), frame)
    return canvas


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
        plain.paste(_WHITE[plain.mode], mask=ImageChops.invert(alpha))
        return plain
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
