"""A JPEG file from the outside: its segments up to the first scan, and its end. No pixels.

Markers are those of ITU-T T.81, table B.1. Where readers of JPEG are known to disagree (a second frame
header, bytes between segments) we refuse or follow the decoder, since a header that says less than the
decoder finds is an attack.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage
from preprocess.limits import Limits

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn: all but DHT, JPG and DAC
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # no length follows: stuffing, TEM, RSTn, SOI
_END = 0xD9
_SCAN = 0xDA
_STEP = 1_024  # bytes looked at in one go where a marker is missing

_read_length = struct.Struct(">H").unpack_from
_read_frame = struct.Struct(">HBHHB").unpack_from  # length, bits, height, width, components


class _Outline(NamedTuple):
    width: int
    height: int
    many_scans: bool  # whether the decoder passes over the picture more than once
    scan: int  # offset of the first scan's header


def size(data: bytes | memoryview, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, within `limits`.

    Raises CorruptImage, TooManyPixels, TruncatedImage; IndexError or struct.error where the bytes end early.
    """
    outline = _outline(data, limits)
    return outline.width, outline.height


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or that asks for more passes than `limits.max_scans`.

    The end mark can't occur inside picture data, and decoders differ on whether they miss it. Files with
    something appended (a second picture, a video) pass: what counts is that a mark follows the first scan.

    Raises TruncatedImage, CorruptImage.
    """
    outline = _outline(data, limits)
    if data.rfind(b"\xff\xd9", outline.scan) < 0:
        raise TruncatedImage
    # Only here: in a video appended to an ordinary photo these two bytes turn up by chance.
    if outline.many_scans and data.count(b"\xff\xda", outline.scan) > limits.max_scans:
        raise CorruptImage


def _outline(data: bytes | memoryview, limits: Limits) -> _Outline:
    frame: tuple[int, int, int, int, int] | None = None
    progressive = False
    for marker, start in _segments(data, limits.max_parts):
        if marker in _FRAMES:
            if frame:
                raise CorruptImage
            frame, progressive = _read_frame(data, start), marker in _PROGRESSIVE
            limits.admit(frame[3], frame[2])
        elif marker == _SCAN and frame:
            _, _, height, width, components = frame
            return _Outline(width, height, progressive or data[start + 2] != components, start)
    raise CorruptImage


def _segments(data: bytes | memoryview, max_parts: int) -> Iterator[tuple[int, int]]:
    """Yield (marker, offset of the segment's length) up to the first scan.

    Every turn of the loop counts as a part, so that neither a million tiny segments nor padding can keep us
    busy.
    """
    at = 2
    for _ in range(max_parts):
        if data[at] != 0xFF:  # decoders skip to the next marker
            gap = bytes(data[at : at + _STEP]).find(0xFF)
            at += gap if gap >= 0 else _STEP
            continue
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # 0xFF may be repeated as filling
            at += 1 if marker == 0xFF else 2
            continue
        yield marker, at + 2
        if marker in (_SCAN, _END):
            return
        at = _after(data, at + 2)
    raise CorruptImage


def _after(data: bytes | memoryview, start: int) -> int:
    """The offset behind the segment whose length stands at `start`."""
    (length,) = _read_length(data, start)
    if length < 2:
        raise CorruptImage
    if start + length > len(data):
        raise TruncatedImage
    return start + int(length)
