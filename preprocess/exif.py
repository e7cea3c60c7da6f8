"""Which way up a photo is, from its EXIF block. Never fails: a broken block means "upright".

Only the one tag we need is read, so that the hundreds we don't can break nothing. The block is a small TIFF
file.
"""

from __future__ import annotations

import struct

_ORIENTATION = 0x0112
# How a TIFF stores numbers, by type. The standard has a SHORT here; some phones write a LONG.
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_MAX_TAGS = 512
_ORDER = {b"II*\0": "<", b"MM\0*": ">"}


def orientation(block: bytes) -> int:
    """The orientation of an EXIF `block`, from 1 (upright) to 8; 1 where it gives none."""
    tiff = block.removeprefix(b"Exif\0\0")
    order = _ORDER.get(tiff[:4])
    if order is None:
        return 1
    try:
        value = _find(tiff, order)
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1


def _find(tiff: bytes, order: str) -> int:
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (tags,) = struct.unpack_from(order + "H", tiff, start)
    for index in range(min(tags, _MAX_TAGS)):
        at = start + 2 + 12 * index
        tag, kind = struct.unpack_from(order + "HH", tiff, at)  # then a count, then the value
        if tag == _ORIENTATION and kind in _NUMBERS:
            return int(struct.unpack_from(order + _NUMBERS[kind], tiff, at + 8)[0])
    return 1
