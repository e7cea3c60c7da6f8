"""A PNG file from the outside: its chunks. No pixels, and no checksums: those are the decoder's.

Names of chunks are those of the PNG specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from preprocess.errors import CorruptImage, TruncatedImage
from preprocess.limits import Limits

_read_chunk = struct.Struct(">I4s").unpack_from  # length of the content, name
_read_size = struct.Struct(">II").unpack_from
_SIGNATURE = 8  # bytes
_FRAME = 12  # bytes of a chunk around its content: length, name, checksum


def size(data: bytes | memoryview, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, within `limits`.

    Raises CorruptImage, TooManyPixels, TruncatedImage; struct.error where the bytes end early.
    """
    found: tuple[int, int] | None = None
    for name, content in _chunks(data, limits.max_parts):
        if (name == b"IHDR") != (found is None):  # it stands first, and only there: decoders take the last
            raise CorruptImage
        if found is None:
            found = limits.admit(*_read_size(data, content))  # at once: a cut bomb is still a bomb
        elif name == b"IEND":
            break
        elif name == b"IDAT":
            return found
    raise CorruptImage


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or that has more chunks or frames than `limits` allow.

    Raises TruncatedImage, CorruptImage.
    """
    frames = 0
    try:
        for name, _ in _chunks(data, limits.max_chunks):
            if name == b"IEND":
                return
            frames += name == b"fcTL"
            if frames > limits.max_frames:
                raise CorruptImage
    except struct.error:
        raise TruncatedImage from None


def depth(data: bytes) -> int:
    """Bits of one sample: 1, 2, 4, 8 or 16. `data` has passed `size`."""
    return data[24]


def _chunks(data: bytes | memoryview, most: int) -> Iterator[tuple[bytes, int]]:
    """Yield (name, offset of the content) of each chunk; raise where one is cut short, or past `most`."""
    at = _SIGNATURE
    for _ in range(most):
        length, name = _read_chunk(data, at)
        if at + length + _FRAME > len(data):
            raise TruncatedImage
        yield name, at + 8
        at += length + _FRAME
    raise CorruptImage
