"""A BMP file from the outside: its header. No pixels.

Sizes of header, depths and ways to store pixels are listed here if `preprocess.bitmap` knows them. Run lengths are
not on the list: decoded one by one they take a tiny file seconds, and hardly anybody writes them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from preprocess.formats.outline import Extract, Outline
from preprocess.limits import Limits

_read_start = struct.Struct("<II").unpack_from  # offset of the pixels, length of the header that follows
_read_core = struct.Struct("<HHHH").unpack_from  # width, height, planes, bits per pixel
_read_info = struct.Struct("<iiHHI12xI").unpack_from  # the same, how pixels are stored, colours in the table
_read_masks = struct.Struct("<4I").unpack_from
_HEADER = 14  # offset of the header that says the size
_MASKS = _HEADER + 40  # offset: within a newer header, or behind one of 40 bytes
_CORE = 12  # OS/2 1.x
_OS2 = 64  # OS/2 2.x
_INFO = frozenset({40, 52, 56, _OS2, 108, 124})  # Windows 3 and its successors, OS/2 2.x
_DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
_PLAIN, _MASKED, _MASKED_WITH_ALPHA = 0, 3, 6
_WITH_ALPHA = 56  # length of the first header that has a mask for alpha

Masks = tuple[int, int, int, int]  # red, green, blue, alpha: the bits of each in a pixel's number; 0 if it has none
_EIGHTS: Masks = (0xFF0000, 0xFF00, 0xFF, 0)
_USUAL: dict[int, Masks] = {16: (0x7C00, 0x3E0, 0x1F, 0), 24: _EIGHTS, 32: _EIGHTS}


class Bitmap(NamedTuple):
    """All that a header says of its pixels. Offsets and lengths in bytes."""

    width: int
    height: int
    bits: int  # per pixel
    from_top: bool  # the first line is the uppermost
    start: int  # of the pixels
    line: int  # length of one, filled up to 4
    table: int  # offset of the colours
    colours: int  # in the table; 0 where pixels hold their own
    entry: int  # length of a colour: 3 or 4, in the order blue, green, red
    masks: Masks  # where pixels hold their own colour


def outline(data: bytes | memoryview, limits: Limits) -> Outline:
    """Size in pixels, within `limits`.

    Raises CorruptImage, UnsupportedFormat, TooManyPixels; struct.error where the bytes end early.
    """
    bitmap = read(data)
    return Outline(*limits.admit(bitmap.width, bitmap.height))


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that is shorter than its pixels. Raises TruncatedImage."""
    bitmap = read(data)
    if bitmap.start + bitmap.line * bitmap.height > len(data):
        raise TruncatedImage


def extract(data: bytes, limits: Limits) -> Extract:
    """The file as it is."""
    return Extract(data)


def read(data: bytes | memoryview) -> Bitmap:
    """The header. Raises CorruptImage, UnsupportedFormat; struct.error where the bytes end early."""
    start, length = _read_start(data, 10)
    stored = colours = 0
    if length == _CORE:
        width, height, _, bits = _read_core(data, 18)
    elif length in _INFO:
        width, height, _, bits, stored, colours = _read_info(data, 18)
    else:
        raise UnsupportedFormat
    if bits not in _DEPTHS or stored not in (_PLAIN, _MASKED, _MASKED_WITH_ALPHA) or (stored and length == _OS2):
        raise UnsupportedFormat
    if width <= 0 or not height or (stored and bits < 16):
        raise CorruptImage
    masks, behind = _masks(data, length, stored, bits)
    table, entry = _HEADER + length + behind, 3 if length == _CORE else 4
    most = 1 << bits if bits <= 8 else 0  # with more bits a table is a hint, for screens of few colours
    colours = min(colours or most, most)
    start = max(start, table)
    if start > table:
        colours = min(colours, (start - table) // entry)
    else:
        start = table + colours * entry  # some writers leave the offset out
    line = (width * bits + 31) // 32 * 4
    return Bitmap(width, abs(height), bits, height < 0, start, line, table, colours, entry, masks)


def _masks(data: bytes | memoryview, length: int, stored: int, bits: int) -> tuple[Masks, int]:
    """The masks, and how many bytes they take behind the header."""
    if stored == _PLAIN:
        return _USUAL.get(bits, (0, 0, 0, 0)), 0
    red, green, blue, alpha = _read_masks(data, _MASKS)
    if length < _WITH_ALPHA and stored == _MASKED:
        alpha = 0  # the fourth number is none of the masks
    behind = max(0, (16 if stored == _MASKED_WITH_ALPHA else 12) + 40 - length)
    if not (red or green or blue):
        red, green, blue, alpha = _USUAL[bits]
    masks = (red, green, blue, alpha)
    if max(masks) >> bits or any(mask & other for n, mask in enumerate(masks) for other in masks[:n]):
        raise CorruptImage  # a bit outside the pixel, or one of two colours
    if bits == 24 and masks != _EIGHTS:
        raise UnsupportedFormat
    return masks, behind
