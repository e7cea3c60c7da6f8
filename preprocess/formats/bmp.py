"""A BMP file from the outside: its header. No pixels.

Sizes of header, depths and ways to store pixels are listed here if the decoder knows them. Run lengths are
not on the list: decoded one by one they take a tiny file seconds, and hardly anybody writes them.
"""

from __future__ import annotations

import struct

from preprocess.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from preprocess.limits import Limits

_read_start = struct.Struct("<II").unpack_from  # offset of the pixels, length of the header that follows
_read_core = struct.Struct("<HHHH").unpack_from  # width, height, planes, bits a pixel
_read_info = struct.Struct("<iiHHI12xI").unpack_from  # the same, how pixels are stored, colours in the table
_CORE = 12  # OS/2 1.x
_INFO = frozenset({40, 52, 56, 64, 108, 124})  # Windows 3 and its successors, OS/2 2.x
_DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
_PLAIN, _MASKED = 0, 3


def size(data: bytes | memoryview, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, within `limits`.

    Raises CorruptImage, UnsupportedFormat, TooManyPixels; struct.error where the bytes end early.
    """
    width, height, _ = _measures(data)
    return limits.admit(width, height)


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that is shorter than its pixels. Raises TruncatedImage."""
    width, height, bits = _measures(data)
    start, header = _read_start(data, 10)
    line = (width * bits + 31) // 32 * 4
    if max(start, 14 + header) + line * height > len(data):
        raise TruncatedImage


def _measures(data: bytes | memoryview) -> tuple[int, int, int]:
    """Width, height, bits a pixel; a negative height, lines from the top, is given without its sign."""
    _, header = _read_start(data, 10)
    if header == _CORE:
        width, height, _, bits = _read_core(data, 18)
        stored = colours = _PLAIN
    elif header in _INFO:
        width, height, _, bits, stored, colours = _read_info(data, 18)
    else:
        raise UnsupportedFormat
    if bits not in _DEPTHS or stored not in (_PLAIN, _MASKED):
        raise UnsupportedFormat
    if width < 0 or colours > 1 << min(bits, 8):
        raise CorruptImage
    return width, abs(height), bits
