"""A GIF file from the outside: its blocks, up to the first picture and to the end. No pixels.

What stands between blocks is skipped a byte at a time, as the decoder does it. An XMP packet is plain text, which
readers of blocks walk through in steps that its letters decide: a bound on blocks must leave room for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage
from preprocess.formats.outline import Extract, Outline
from preprocess.frame import Frame
from preprocess.limits import Limits

_read_screen = struct.Struct("<HHB").unpack_from  # width, height, flags
_read_frame = struct.Struct("<HHHHB").unpack_from  # left, top, width, height, flags
_SCREEN = 6  # offset
_FIRST = 13  # offset of what follows the screen's description
_END, _EXTENSION, _PICTURE = b";!,"
_CONTROL = 0xF9  # the extension that says which colour is clear
_BLOCK = 16  # bytes; letters are longer blocks than that, and a file of crumbs only costs time


class _Picture(NamedTuple):
    frame: Frame
    start: int  # offset of its mark
    end: int
    control: tuple[int, int] | None  # where the last control extension before it stands


def outline(data: bytes | memoryview, limits: Limits) -> Outline:
    """Size in pixels, within `limits`: that of the canvas, widened to hold the first picture.

    Raises CorruptImage, TooManyPixels; IndexError or struct.error where the bytes end early.
    """
    width, height, _ = _read_screen(data, _SCREEN)
    frame = _first(data, limits, whole=False).frame
    return Outline(*limits.admit(max(width, frame.right), max(height, frame.bottom)))


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


def extract(data: bytes, limits: Limits) -> Extract:
    """The first picture alone, on its canvas. `data` has passed `check` with these `limits`."""
    picture = _first(data, limits, whole=True)
    control = data[slice(*picture.control)] if picture.control else b""
    screen = data[: _FIRST + _table(data[10])]
    return Extract(screen + control + data[picture.start : picture.end] + b";", frame=picture.frame)


def pictures_alone(data: bytes, limits: Limits) -> bytes:
    """All pictures, with when and how they are shown, and nothing else. Raises as `check`, and IndexError."""
    parts = [data[: _FIRST + _table(data[10])]]
    for picture in _pictures(data, limits.max_chunks + len(data) // _BLOCK):
        parts += [data[slice(*picture.control)] if picture.control else b"", data[picture.start : picture.end]]
    return b"".join((*parts, b";"))


def _first(data: bytes | memoryview, limits: Limits, *, whole: bool) -> _Picture:
    """The first picture; its `end` only where it is `whole`."""
    for picture in _pictures(data, limits.max_chunks + (len(data) // _BLOCK if whole else 0), whole=whole):
        return picture
    raise CorruptImage  # an end, and no picture before it


def _pictures(data: bytes | memoryview, most: int, *, whole: bool = True) -> Iterator[_Picture]:
    """Yield each picture, up to the end of the file; raise after `most` steps."""
    at = _FIRST + _table(_read_screen(data, _SCREEN)[2])
    control: tuple[int, int] | None = None
    steps = iter(range(most))
    for _ in steps:
        kind = data[at]
        start = at
        at += 1
        if kind == _END:
            return
        if kind == _PICTURE:
            left, top, width, height, flags = _read_frame(data, at)
            frame = Frame(left, top, left + width, top + height)
            if not whole:
                yield _Picture(frame, start, at, control)
            at = _after(data, at + 10 + _table(flags), steps)
            yield _Picture(frame, start, at, control)
            control = None
        elif kind == _EXTENSION:
            at = _after(data, at + 1, steps)
            if data[start + 1] == _CONTROL and data[start + 2] == 4:
                control = (start, at)
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
