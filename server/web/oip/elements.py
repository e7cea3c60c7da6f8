"""BYTES tensors as bytes: each element is its length (four bytes, little-endian) and itself. Pure."""

import struct
from collections.abc import Sequence

from server.web.oip.inference import MOST_ENTRIES, InvalidInference

_LENGTH = struct.Struct("<I")


def unpack(data: bytes | memoryview) -> tuple[bytes, ...]:
    """The elements, at most `MOST_ENTRIES`. Raises `InvalidInference`."""
    elements: list[bytes] = []
    view, at = memoryview(data), 0
    while at < len(view):
        if len(elements) == MOST_ENTRIES:
            raise InvalidInference(f"one request may have {MOST_ENTRIES} images")
        start = at + _LENGTH.size
        if start > len(view):
            raise InvalidInference("a BYTES tensor ends within the length of an element")
        at = start + _LENGTH.unpack_from(view, at)[0]
        if at > len(view):
            raise InvalidInference("a BYTES tensor ends within an element")
        elements.append(bytes(view[start:at]))
    return tuple(elements)


def pack(elements: Sequence[bytes]) -> bytes:
    """As `unpack` reads it."""
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))
