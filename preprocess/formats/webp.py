"""A WebP file from the outside: its chunks. No pixels.

Names of chunks are those of the WebP container specification; numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage
from preprocess.formats.outline import Extract, Outline
from preprocess.frame import Frame
from preprocess.limits import Limits

_read_chunk = struct.Struct("<4sI").unpack_from  # name, length of the content
_read_length = struct.Struct("<I").unpack_from
_read_lossy = struct.Struct("<3s3sHH").unpack_from  # frame tag, start code, width, height
_read_lossless = struct.Struct("<BI").unpack_from  # signature, 14 bits width - 1, 14 bits height - 1, others
_read_canvas = struct.Struct("<B3xHBHB").unpack_from  # flags, width - 1, height - 1: 24 bits each
_FIRST = 12  # offset of the first chunk
_START_CODE = b"\x9d\x01\x2a"
_LOSSLESS = 0x2F
_SIDE = 0x3FFF  # 14 bits; the rest asks for upscaling, which decoders ignore
_PICTURES = (b"VP8 ", b"VP8L")


class _Chunk(NamedTuple):
    name: bytes
    content: int  # offset
    end: int  # offset behind the content


def outline(data: bytes | memoryview, limits: Limits) -> Outline:
    """Size in pixels, within `limits`: of the canvas where there is one.

    Raises CorruptImage, TooManyPixels; struct.error where the bytes end early.
    """
    name, _ = _read_chunk(data, _FIRST)
    if name == b"VP8X":
        return Outline(*limits.admit(*_canvas(data)))
    return Outline(*limits.admit(*_size(data, name, _FIRST + 8)))


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, that has more chunks or frames than `limits` allow, or whose first picture
    is not as large as its frame says or stands out of the canvas.

    Raises TruncatedImage, CorruptImage.
    """
    frames = 0
    for chunk in _chunks(data, limits.max_chunks):
        frames += chunk.name == b"ANMF"
        if frames > limits.max_frames:
            raise CorruptImage
    try:
        _check_first(data, limits)
    except struct.error:
        raise CorruptImage from None


def extract(data: bytes, limits: Limits) -> Extract:
    """The file as it is: its decoder knows chunks by name. `data` has passed `check`."""
    return Extract(data, frame=_frame(data, limits))


def _check_first(data: bytes, limits: Limits) -> None:
    """Raise CorruptImage where the first picture is not what was promised: then a decoder would unpack another."""
    promised = outline(data, limits)
    frame = _frame(data, limits) or Frame(0, 0, promised.width, promised.height)
    if frame.right > promised.width or frame.bottom > promised.height:
        raise CorruptImage
    size = (frame.right - frame.left, frame.bottom - frame.top)
    for name, content in _bitstreams(data, limits):
        if _size(data, name, content) != size:
            raise CorruptImage
        return


def _frame(data: bytes, limits: Limits) -> Frame | None:
    """Where the first picture of an animation stands; None if it is none."""
    for chunk in _chunks(data, limits.max_chunks):
        if chunk.name == b"ANMF":
            left, top, width, height = (
                int.from_bytes(data[at : at + 3], "little") for at in range(chunk.content, chunk.content + 12, 3)
            )
            return Frame(2 * left, 2 * top, 2 * left + width + 1, 2 * top + height + 1)
        if chunk.name in _PICTURES:
            return None
    return None


def _bitstreams(data: bytes, limits: Limits) -> Iterator[tuple[bytes, int]]:
    """Yield (name, offset of the content) of each chunk of pixels, up to the end of the first picture's frame."""
    for chunk in _chunks(data, limits.max_chunks):
        if chunk.name == b"ANMF":
            inside = _within(data, chunk.content + 16, chunk.end, limits.max_chunks)
            yield from ((each.name, each.content) for each in inside if each.name in _PICTURES)
            return
        if chunk.name in _PICTURES:
            yield chunk.name, chunk.content


def _canvas(data: bytes | memoryview) -> tuple[int, int]:
    _, width, width_high, height, height_high = _read_canvas(data, _FIRST + 8)
    return (width_high << 16) + width + 1, (height_high << 16) + height + 1


def _size(data: bytes | memoryview, name: bytes, start: int) -> tuple[int, int]:
    """Width and height of the pixels in a chunk. Raises CorruptImage, struct.error."""
    if name == b"VP8L":
        signature, bits = _read_lossless(data, start)
        if signature == _LOSSLESS:
            return (bits & _SIDE) + 1, (bits >> 14 & _SIDE) + 1
    if name == b"VP8 ":
        _, code, width, height = _read_lossy(data, start)
        if code == _START_CODE:
            return width & _SIDE, height & _SIDE
    raise CorruptImage


def _chunks(data: bytes, most: int) -> Iterator[_Chunk]:
    """Yield each chunk of the file; raise if it is cut short, or past `most`."""
    end = _read_length(data, 4)[0] + 8
    if end > len(data):
        raise TruncatedImage
    yield from _within(data, _FIRST, end, most)


def _within(data: bytes, at: int, end: int, most: int) -> Iterator[_Chunk]:
    for _ in range(most):
        if at + 8 > end:
            return
        name, length = _read_chunk(data, at)
        yield _Chunk(name, at + 8, min(at + 8 + length, end))
        at += 8 + length + length % 2
    raise CorruptImage
