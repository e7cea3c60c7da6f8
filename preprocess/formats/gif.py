"""A GIF file from the outside: its blocks, up to the first picture and to the end. No pixels.

What stands between blocks is skipped a byte at a time, as the decoder does it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from preprocess.errors import CorruptImage, TruncatedImage
from preprocess.frame import Frame
from preprocess.limits import Limits

_read_screen = struct.Struct("<HHB").unpack_from  # width, height, flags
_read_frame = struct.Struct("<HHHHB").unpack_from  # left, top, width, height, flags
_SCREEN = 6  # offset
_FIRST = 13  # offset of what follows the screen's description
_END, _EXTENSION, _PICTURE = b";!,"
_BLOCK = 64  # bytes; encoders fill their blocks, of at most 255 bytes, and a file of crumbs only costs time


def size(data: bytes | memoryview, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, within `limits`: those of the canvas, widened to hold the first picture.

    Raises CorruptImage, TooManyPixels; IndexError or struct.error where the bytes end early.
    """
    width, height, _ = _read_screen(data, _SCREEN)
    frame = _first(data, limits.max_parts)
    return limits.admit(max(width, frame.right), max(height, frame.bottom))


def frame(data: bytes, limits: Limits) -> Frame:
    """Where the first picture stands. `data` has passed `size` with these `limits`."""
    return _first(data, limits.max_parts)


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or that has more blocks or pictures than `limits` allow.

    Raises TruncatedImage, CorruptImage.
    """
    try:
        for count, _ in enumerate(_pictures(data, limits.max_chunks + len(data) // _BLOCK), 1):
            if count > limits.max_frames:
                raise CorruptImage
    except (IndexError, struct.error):
        raise TruncatedImage from None


def _first(data: bytes | memoryview, most: int) -> Frame:
    for frame in _pictures(data, most):
        return frame
    raise CorruptImage  # an end, and no picture before it


def _pictures(data: bytes | memoryview, most: int) -> Iterator[Frame]:
    """Yield where each picture stands, up to the end of the file; raise after `most` steps."""
    at = _FIRST + _table(_read_screen(data, _SCREEN)[2])
    steps = iter(range(most))
    for _ in steps:
        kind = data[at]
        at += 1
        if kind == _END:
            return
        if kind == _PICTURE:
            left, top, width, height, flags = _read_frame(data, at)
            yield Frame(left, top, left + width, top + height)
            at = _after(data, at + 10 + _table(flags), steps)
        elif kind == _EXTENSION:
            at = _after(data, at + 1, steps)
    raise CorruptImage


def _table(flags: int) -> int:
    """Bytes of the table of colours that `flags` announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after(data: bytes | memoryview, at: int, steps: Iterator[int]) -> int:
    """The offset behind a row of data blocks, each led by its length; each takes one of `steps`."""
    for _ in steps:
        length = data[at]
        at += length + 1
        if not length:
            return at
    raise CorruptImage
