"""What an image is, from its first bytes: format by content, size in pixels. Standard library only.

Cheap enough for an event loop (a few microseconds), and bounded whatever the bytes are. Names and content
types are never looked at.

To add a format: a row in `_FORMATS`, a function that reads its size, and a row in `preprocess.decode`.
HEIC is one where pillow-heif is installed, which is looked up without loading it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, NamedTuple

from preprocess.errors import EmptyImage, NotAnImage, TruncatedImage, UnsupportedFormat
from preprocess.formats import bmff, bmp, gif, jpeg, png, webp
from preprocess.limits import Limits

Format = Literal["jpeg", "png", "webp", "gif", "bmp", "avif", "heic"]
Signature = tuple[tuple[int, bytes], ...]  # (offset, the bytes that stand there), all of which must match


class Header(NamedTuple):
    """What the header promises; `width` and `height` in pixels as stored, before any EXIF orientation."""

    format: Format
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


class _Row(NamedTuple):
    format: Format
    signature: Signature
    size: Callable[[bytes | memoryview, Limits], tuple[int, int]]  # as `Limits.admit` gave it back


_FORMATS: tuple[_Row, ...] = (
    _Row("jpeg", ((0, b"\xff\xd8\xff"),), jpeg.size),
    _Row("png", ((0, b"\x89PNG\r\n\x1a\n"),), png.size),
    _Row("webp", ((0, b"RIFF"), (8, b"WEBP")), webp.size),
    _Row("gif", ((0, b"GIF87a"),), gif.size),
    _Row("gif", ((0, b"GIF89a"),), gif.size),
    _Row("bmp", ((0, b"BM"), (6, b"\0\0\0\0")), bmp.size),  # two letters alone would match too much text
)
# Told apart by a list of brands: see `bmff.kind`.
_BOXED: dict[str, _Row] = {
    "avif": _Row("avif", ((0, b"\0"), (4, b"ftypavi")), bmff.size),
    "heic": _Row("heic", ((0, b"\0"), (4, b"ftyphei")), bmff.size),
}
_HEIC = find_spec("pillow_heif") is not None

# Recognised only to say "unsupported" instead of "not an image".
_UNSUPPORTED: tuple[Signature, ...] = (
    ((0, b"II*\0"),),  # TIFF, and most raw camera formats
    ((0, b"MM\0*"),),
    ((0, b"II+\0"),),  # BigTIFF
    ((0, b"MM\0+"),),
    ((4, b"ftyphev"),),  # HEIC sequences
    ((4, b"ftypmif"),),  # HEIF of another kind
    ((4, b"ftypmsf1"),),
    ((0, b"\xff\x0a"),),  # JPEG XL
    ((0, b"\0\0\0\x0cJXL \r\n\x87\n"),),
    ((0, b"\0\0\0\x0cjP  \r\n\x87\n"),),  # JPEG 2000
    ((0, b"\xff\x4f\xff\x51"),),
    ((0, b"8BPS"),),  # Photoshop
    ((0, b"qoif"),),
)


def read_header(data: bytes | bytearray | memoryview, limits: Limits) -> Header:
    """Say what `data` holds, and refuse what can't or may not be decoded.

    Raises:
        EmptyImage, NotAnImage, UnsupportedFormat: by content.
        TruncatedImage: the bytes end before the picture data begin.
        CorruptImage: the header contradicts its format, has no size, or too many parts.
        TooManyPixels: larger than `limits`.
    """
    view = data if isinstance(data, bytes) else memoryview(data).cast("B")
    row = _recognise(view)
    try:
        width, height = row.size(view, limits)
    except (IndexError, struct.error):  # a read past the end
        raise TruncatedImage from None
    return Header(row.format, width, height)


def _recognise(data: bytes | memoryview) -> _Row:
    for row in _FORMATS:
        if _matches(data, row.signature):
            return row
    if not len(data):
        raise EmptyImage
    if kind := bmff.kind(data):
        if kind == "heic" and not _HEIC:
            raise UnsupportedFormat
        return _BOXED[kind]
    if any(_matches(data, signature) for signature in _UNSUPPORTED):
        raise UnsupportedFormat
    if any(_begins(data, row.signature) for row in (*_FORMATS, *_BOXED.values())):
        raise TruncatedImage
    raise NotAnImage


def _matches(data: bytes | memoryview, signature: Signature) -> bool:
    return all(data[offset : offset + len(part)] == part for offset, part in signature)


def _begins(data: bytes | memoryview, signature: Signature) -> bool:
    """Whether `data` is cut off inside `signature`."""
    whole = max(offset + len(part) for offset, part in signature)
    return len(data) < whole and all(
        part.startswith(bytes(data[offset : offset + len(part)])) for offset, part in signature
    )
