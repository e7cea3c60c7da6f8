"""An AVIF or HEIC file from the outside: the boxes of ISO-BMFF that say how large the picture is. No pixels.

Names of boxes are those of ISO/IEC 14496-12 and 23008-12; numbers are big-endian. The size is that of the
primary item before it is cropped or turned. Sizes of all other items are held against the limits too: the
picture may be put together of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from preprocess.limits import Limits

_read_box = struct.Struct(">I4s").unpack_from  # length of the whole box, name
_read_long = struct.Struct(">Q").unpack_from
_read_32 = struct.Struct(">I").unpack_from
_read_16 = struct.Struct(">H").unpack_from
_read_size = struct.Struct(">4xII").unpack_from  # version and flags, width, height
_VERSIONED = 4  # bytes of version and flags at the start of some boxes
_MAX_BRANDS = 32
_HOLDS_PICTURE = frozenset({b"ftyp", b"meta", b"mdat", b"moov"})

_BRANDS: dict[bytes, Literal["avif", "heic"]] = {
    b"avif": "avif",
    b"avis": "avif",  # a sequence, with a still picture beside it
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"heis": "heic",
}


class Box(NamedTuple):
    name: bytes
    start: int  # offset of the content
    end: int


def kind(data: bytes | memoryview) -> Literal["avif", "heic"] | None:
    """What the file calls itself, or else says it can be read as; None if neither is one of ours.

    Raises TruncatedImage where the list is cut short.
    """
    if data[4:8] != b"ftyp":
        return None
    end = min(_read_32(data, 0)[0], 16 + 4 * _MAX_BRANDS)
    for at in (8, *range(16, end - 3, 4)):  # a version stands between
        if at + 4 > len(data):
            raise TruncatedImage
        if found := _BRANDS.get(bytes(data[at : at + 4])):
            return found
    return None


def size(data: bytes | memoryview, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, within `limits`.

    Raises CorruptImage, UnsupportedFormat, TooManyPixels, TruncatedImage; struct.error or IndexError where
    the bytes end early.
    """
    parts = iter(range(limits.max_parts))
    primary: int | None = None
    sizes: dict[int, tuple[int, int]] = {}  # by the property's number
    links: Box | None = None
    for box in _inside(data, _meta(data, parts), parts, _VERSIONED):
        if box.name == b"pitm":
            primary = _number(data, box.start + _VERSIONED, wide=data[box.start] > 0)
        elif box.name == b"iprp":
            for inner in _inside(data, box, parts):
                if inner.name == b"ipco":
                    sizes = _sizes(data, inner, parts, limits)
                elif inner.name == b"ipma":
                    links = links or inner
    if primary is None or links is None:
        raise CorruptImage
    for number in _properties(data, links, primary, parts):
        if number in sizes:
            return sizes[number]
    raise CorruptImage


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file whose boxes don't fit into it. What follows them and is no box is let pass.

    Raises TruncatedImage, CorruptImage.
    """
    names = set()
    try:
        for box in _boxes(data, 0, len(data), iter(range(limits.max_parts))):
            if box.end > len(data):
                if box.name in _HOLDS_PICTURE:
                    raise TruncatedImage
                break
            names.add(box.name)
    except struct.error:
        pass  # too few bytes for a box: left over, or what is left of one
    if b"mdat" not in names and b"idat" not in data:  # where the picture's data may stand
        raise TruncatedImage


def _meta(data: bytes | memoryview, parts: Iterator[int]) -> Box:
    for box in _boxes(data, 0, len(data), parts):
        if box.end > len(data):
            raise TruncatedImage
        if box.name == b"meta":
            return box
        if box.name == b"moov":
            raise UnsupportedFormat  # a film, and no still picture before it
    raise TruncatedImage


def _sizes(data: bytes | memoryview, box: Box, parts: Iterator[int], limits: Limits) -> dict[int, tuple[int, int]]:
    return {
        number: limits.admit(*_read_size(data, inner.start))
        for number, inner in enumerate(_inside(data, box, parts), 1)
        if inner.name == b"ispe"
    }


def _properties(data: bytes | memoryview, box: Box, item: int, parts: Iterator[int]) -> list[int]:
    """The numbers of the properties of `item`, from the list of all items' in `box`."""
    wide_items, wide_numbers = data[box.start] > 0, data[box.start + 3] & 1
    (count,) = _read_32(data, box.start + _VERSIONED)
    at, head, step = box.start + 8, 4 if wide_items else 2, 2 if wide_numbers else 1
    for _ in range(count):
        if at + head >= box.end or next(parts, None) is None:
            raise CorruptImage
        found = _number(data, at, wide=wide_items) == item
        first = at + head + 1
        at = first + data[at + head] * step
        if found and at <= box.end:
            mask = 0x7FFF if wide_numbers else 0x7F  # without the bit that says "essential"
            return [int.from_bytes(data[n : n + step], "big") & mask for n in range(first, at, step)]
    raise CorruptImage


def _number(data: bytes | memoryview, at: int, *, wide: bool) -> int:
    number: int = (_read_32 if wide else _read_16)(data, at)[0]
    return number


def _inside(data: bytes | memoryview, box: Box, parts: Iterator[int], skip: int = 0) -> Iterator[Box]:
    """The boxes within `box`, which must hold them entirely."""
    for inner in _boxes(data, box.start + skip, box.end, parts):
        if inner.end > box.end:
            raise CorruptImage
        yield inner


def _boxes(data: bytes | memoryview, at: int, end: int, parts: Iterator[int]) -> Iterator[Box]:
    """The boxes from `at` to `end`; the last one may reach beyond. Each takes one of `parts`."""
    while at < end:
        if next(parts, None) is None:
            raise CorruptImage
        length, name = _read_box(data, at)
        start = at + 8
        if length == 1:
            (length,) = _read_long(data, start)
            start += 8
        elif length == 0:  # to the end
            length = end - at
        if at + length < start:
            raise CorruptImage
        yield Box(name, start, at + length)
        at += length
