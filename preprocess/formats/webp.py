"""A WebP file from the outside: its chunks. No pixels.

Names of chunks are those of the WebP container specification; numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from preprocess.errors import CorruptImage, TruncatedImage
from preprocess.frame import Frame
from preprocess.limits import Limits

_read_chunk = struct.Struct("<4sI").unpack_from  # name, length of the content
_read_length = struct.Struct("<I").unpack_from
_read_lossy = struct.Struct("<3s3sHH").unpack_from  # frame tag, start code, width, height
_read_lossless = struct.Struct("<BI").unpack_from  # signature, 14 bits width - 1, 14 bits height - 1, others
_read_canvas = struct.Struct("<4xHBHB").unpack_from  # flags, width - 1, height - 1: 24 bits each
_FIRST = 12  # offset of the first chunk
_START_CODE = b"\x9d\x01\x2a"
_LOSSLESS = 0x2F
_SIDE = 0x3FFF  # 14 bits; the rest asks for upscaling, which decoders ignore


def size(data: bytes | memoryview, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, within `limits`: of the canvas where there is one.

    Raises CorruptImage, TooManyPixels; struct.error where the bytes end early.
    """
    name, _ = _read_chunk(data, _FIRST)
    start = _FIRST + 8
    if name == b"VP8X":
        width, width_high, height, height_high = _read_canvas(data, start)
        return limits.admit((width_high << 16) + width + 1, (height_high << 16) + height + 1)
    if name == b"VP8L":
        signature, bits = _read_lossless(data, start)
        if signature == _LOSSLESS:
            return limits.admit((bits & _SIDE) + 1, (bits >> 14 & _SIDE) + 1)
    if name == b"VP8 ":
        _, code, width, height = _read_lossy(data, start)
        if code == _START_CODE:
            return limits.admit(width & _SIDE, height & _SIDE)
    raise CorruptImage


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or that has more chunks or frames than `limits` allow.

    Raises TruncatedImage, CorruptImage.
    """
    frames = 0
    for name, _ in _chunks(data, limits.max_chunks):
        frames += name == b"ANMF"
        if frames > limits.max_frames:
            raise CorruptImage


def frame(data: bytes, limits: Limits) -> Frame | None:
    """Where the first picture of an animation stands; None if it is none. `data` has passed `check`."""
    for name, start in _chunks(data, limits.max_chunks):
        if name == b"ANMF":
            left, top, width, height = (
                int.from_bytes(data[at : at + 3], "little") for at in range(start, start + 12, 3)
            )
            return Frame(2 * left, 2 * top, 2 * left + width + 1, 2 * top + height + 1)
        if name in (b"VP8 ", b"VP8L"):
            return None
    return None


def _chunks(data: bytes, most: int) -> Iterator[tuple[bytes, int]]:
    """Yield (name, offset of the content) of each chunk; raise if the file is cut short, or past `most`."""
    end = _read_length(data, 4)[0] + 8
    if end > len(data):
        raise TruncatedImage
    at = _FIRST
    for _ in range(most):
        if at + 8 > end:
            return
        name, length = _read_chunk(data, at)
        yield name, at + 8
        at += 8 + length + length % 2
    raise CorruptImage
