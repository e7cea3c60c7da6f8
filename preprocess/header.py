"""What an image is, from its first bytes: format by content, size in pixels. Standard library only.

Cheap enough for an event loop (a few microseconds), and bounded whatever the bytes are. Names and content
types are never looked at.

To add a format: a row in `_FORMATS`, a module in `preprocess.formats`, and a row in `preprocess.decode`.
HEIC is one where pillow-heif is installed, which is looked up without loading it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, NamedTuple

from preprocess.errors import EmptyImage, NotAnImage, TruncatedImage, UnsupportedFormat
from preprocess.formats import bmff, bmp, gif, heif, jpeg, png, webp
from preprocess.formats.outline import Outline
from preprocess.formats.unsupported import Signature, is_unsupported, matches
from preprocess.limits import Limits

Format = Literal["jpeg", "png", "webp", "gif", "bmp", "avif", "heic"]


class Header(NamedTuple):
    """What the header promises; `width` and `height` in pixels as stored, before any EXIF orientation."""

    format: Format
    width: int
    height: int
    extra: int = 0  # pixels decoded beside width x height: alpha, layers, tiles that stand out
    progressive: bool = False  # a JPEG in several passes

    @property
    def pixels(self) -> int:
        """All that are decoded."""
        return self.width * self.height + self.extra


class _Row(NamedTuple):
    format: Format
    signature: Signature
    outline: Callable[[bytes | memoryview, Limits], Outline]


_FORMATS: tuple[_Row, ...] = (
    _Row("jpeg", ((0, b"\xff\xd8\xff"),), jpeg.outline),
    _Row("png", ((0, b"\x89PNG\r\n\x1a\n"),), png.outline),
    _Row("webp", ((0, b"RIFF"), (8, b"WEBP")), webp.outline),
    _Row("gif", ((0, b"GIF87a"),), gif.outline),
    _Row("gif", ((0, b"GIF89a"),), gif.outline),
    _Row("bmp", ((0, b"BM"), (6, b"\0\0\0\0")), bmp.outline),  # two letters alone would match too much text
    _Row("bmp", ((0, b"BM"), (15, b"\0\0\0")), bmp.outline),  # with a pointer's place, as OS/2 has it
)
# Told apart by a list of brands: see `bmff.kind`.
_BOXED: dict[str, _Row] = {
    "avif": _Row("avif", ((0, b"\0"), (4, b"ftypavi")), heif.outline),
    "heic": _Row("heic", ((0, b"\0"), (4, b"ftyphei")), heif.outline),
}
_HEIC = find_spec("pillow_heif") is not None


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
        outline = row.outline(view, limits)
    except (IndexError, struct.error):  # a read past the end
        raise TruncatedImage from None
    return Header(row.format, *outline)


def _recognise(data: bytes | memoryview) -> _Row:
    for row in _FORMATS:
        if matches(data, row.signature):
            return row
    if not len(data):
        raise EmptyImage
    if kind := bmff.kind(data):
        if kind == "heic" and not _HEIC:
            raise UnsupportedFormat
        return _BOXED[kind]
    if is_unsupported(data):
        raise UnsupportedFormat
    if any(_begins(data, row.signature) for row in (*_FORMATS, *_BOXED.values())):
        raise TruncatedImage
    raise NotAnImage


def _begins(data: bytes | memoryview, signature: Signature) -> bool:
    """Whether `data` is cut off inside `signature`."""
    whole = max(offset + len(part) for offset, part in signature)
    return len(data) < whole and all(
        part.startswith(bytes(data[offset : offset + len(part)])) for offset, part in signature
    )
