"""The boxes of an ISO-BMFF file, and what its `meta` box says of items. No pixels.

Names of boxes are those of ISO/IEC 14496-12 and 23008-12; numbers are big-endian. What a standard allows once is
refused where it stands twice: two readers might each take another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from preprocess.limits import Limits

_read_box = struct.Struct(">I4s").unpack_from  # length of the whole box, name
_read_long = struct.Struct(">Q").unpack_from
_read_32 = struct.Struct(">I").unpack_from
_read_16 = struct.Struct(">H").unpack_from
_VERSIONED = 4  # bytes of version and flags at the start of some boxes
_MAX_BRANDS = 32
_HOLDS_PICTURE = frozenset({b"ftyp", b"meta", b"mdat", b"moov"})
_ENTRIES = 4  # times `limits.max_parts`: each tile of a picture stands in four lists

Data = bytes | memoryview

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


@dataclass(slots=True)
class Meta:
    """What a `meta` box says. Items go by their number, properties by theirs, from 1."""

    primary: int | None = None
    kinds: dict[int, bytes] = field(default_factory=dict)
    """The type of each item, by four letters."""
    kinds_at: dict[int, int] = field(default_factory=dict)
    """The offset of these letters."""
    properties: list[Box] = field(default_factory=list)
    linked: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """The properties of each item, in the order in which they apply."""
    linked_at: dict[int, range] = field(default_factory=dict)
    """The offset of each of these numbers."""
    inputs: dict[int, list[int]] = field(default_factory=dict)
    """Of what items a derived one is made."""
    auxiliaries: dict[int, list[int]] = field(default_factory=dict)
    """Which items say more of an item: its alpha, its depth."""
    locations: Box | None = None
    inline: Box | None = None
    """`iloc` and `idat`."""
    sizes: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)
    """Those that have been looked up, by the properties: the tiles of a grid share one list."""

    def of(self, item: int) -> Iterator[Box]:
        """The properties of an item. Raises CorruptImage for one that does not exist."""
        for number in self.linked.get(item, ()):
            if number > len(self.properties):
                raise CorruptImage
            if number:
                yield self.properties[number - 1]

    def one(self, item: int, *names: bytes) -> Box | None:
        """The first property of one of these names."""
        for box in self.of(item):
            if box.name in names:
                return box
        return None


def kind(data: Data) -> Literal["avif", "heic"] | None:
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


def read_meta(data: Data, limits: Limits) -> Meta:
    """The first `meta` box of the file.

    Raises CorruptImage, UnsupportedFormat, TruncatedImage; struct.error or IndexError where the bytes end early.
    """
    boxes, entries = iter(range(limits.max_parts)), iter(range(_ENTRIES * limits.max_parts))
    meta, seen = Meta(), set()
    for box in _inside(data, _meta(data, boxes), boxes, _VERSIONED):
        if box.name in _READERS:
            if box.name in seen:
                raise CorruptImage
            seen.add(box.name)
            _READERS[box.name](data, box, meta, entries)
    return meta


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


def contents(data: bytes, meta: Meta, wanted: set[int], limits: Limits) -> dict[int, bytes | memoryview]:
    """The bytes of the items that are `wanted`. Raises CorruptImage, TruncatedImage, struct.error."""
    box, parts = meta.locations, iter(range(_ENTRIES * limits.max_parts))
    found: dict[int, bytes | memoryview] = {}
    if box is None:
        raise CorruptImage
    version = data[box.start]
    sizes = _read_16(data, box.start + _VERSIONED)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    at = box.start + 6
    count = _number(data, at, wide=version == 2)
    at += 4 if version == 2 else 2
    for _ in range(count):
        item = _number(data, at, wide=version == 2)
        at += 4 if version == 2 else 2
        method = _read_16(data, at)[0] & 15 if version else 0
        at += 4 if version else 2
        base, at = _sized(data, at, base_size)
        extents, at = _read_16(data, at)[0], at + 2
        pieces = []
        for _ in range(extents):
            if next(parts, None) is None or at > box.end:
                raise CorruptImage
            start, at = _sized(data, at + index_size, offset_size)
            length, at = _sized(data, at, length_size)
            if item in wanted:
                pieces.append(_piece(data, meta.inline if method == 1 else None, method, base + start, length))
        if next(parts, None) is None or (item in wanted and item in found):
            raise CorruptImage
        if item in wanted:
            found[item] = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return found


def _piece(data: bytes, inline: Box | None, method: int, start: int, length: int) -> memoryview:
    """One extent: of the file (method 0) or of the `idat` box (1)."""
    if method > 1 or (method == 1 and inline is None):
        raise CorruptImage
    begin, end = (inline.start, inline.end) if inline else (0, len(data))
    first = begin + start
    last = first + length if length else end
    if last > end:
        raise CorruptImage if inline else TruncatedImage
    return memoryview(data)[first:last]


def _sized(data: Data, at: int, size: int) -> tuple[int, int]:
    """A number of `size` bytes, and the offset behind it."""
    return int.from_bytes(data[at : at + size], "big"), at + size


def _meta(data: Data, parts: Iterator[int]) -> Box:
    for box in _boxes(data, 0, len(data), parts):
        if box.end > len(data):
            raise TruncatedImage
        if box.name == b"meta":
            return box
        if box.name in (b"moov", b"mini"):
            raise UnsupportedFormat  # a film with no still picture before it, or the short form of a file
    raise TruncatedImage


def _read_primary(data: Data, box: Box, meta: Meta, _: Iterator[int]) -> None:
    meta.primary = _number(data, box.start + _VERSIONED, wide=data[box.start] > 0)


def _read_items(data: Data, box: Box, meta: Meta, parts: Iterator[int]) -> None:
    """`iinf`: what items there are."""
    count = 6 if data[box.start] == 0 else 8
    for entry in _inside(data, box, parts, count):
        version = data[entry.start]
        if entry.name != b"infe" or version not in (2, 3):
            continue
        at = entry.start + _VERSIONED
        item = _number(data, at, wide=version == 3)
        at += 6 if version == 3 else 4
        if item in meta.kinds or at + 4 > entry.end:
            raise CorruptImage
        meta.kinds[item], meta.kinds_at[item] = bytes(data[at : at + 4]), at


def _read_references(data: Data, box: Box, meta: Meta, parts: Iterator[int]) -> None:
    """`iref`: which item is made of which, or belongs to which."""
    wide = data[box.start] > 0
    step = 4 if wide else 2
    for entry in _inside(data, box, parts, _VERSIONED):
        if entry.name not in (b"dimg", b"auxl"):
            continue
        source = _number(data, entry.start, wide=wide)
        count = _read_16(data, entry.start + step)[0]
        first = entry.start + step + 2
        if first + step * count > entry.end:
            raise CorruptImage
        targets = []
        for at in range(first, first + step * count, step):
            if next(parts, None) is None:
                raise CorruptImage
            targets.append(_number(data, at, wide=wide))
        if entry.name == b"auxl":
            for target in targets:
                meta.auxiliaries.setdefault(target, []).append(source)
        elif source in meta.inputs:
            raise CorruptImage
        else:
            meta.inputs[source] = targets


def _read_properties(data: Data, box: Box, meta: Meta, parts: Iterator[int]) -> None:
    """`iprp`: properties, and which item has which."""
    for inner in _inside(data, box, parts):
        if inner.name == b"ipco":
            if meta.properties:
                raise CorruptImage
            meta.properties = list(_inside(data, inner, parts))
        elif inner.name == b"ipma":
            _read_links(data, inner, meta, parts)


def _read_links(data: Data, box: Box, meta: Meta, parts: Iterator[int]) -> None:
    wide_items, wide_numbers = data[box.start] > 0, data[box.start + 3] & 1
    (count,) = _read_32(data, box.start + _VERSIONED)
    at, head, step = box.start + 8, 4 if wide_items else 2, 2 if wide_numbers else 1
    mask = 0x7FFF if wide_numbers else 0x7F  # without the bit that says "essential"
    for _ in range(count):
        if at + head >= box.end or next(parts, None) is None:
            raise CorruptImage
        item = _number(data, at, wide=wide_items)
        first = at + head + 1
        at = first + data[at + head] * step
        if at > box.end or item in meta.linked:
            raise CorruptImage
        meta.linked_at[item] = range(first, at, step)
        if wide_numbers:
            meta.linked[item] = tuple(_read_16(data, n)[0] & mask for n in range(first, at, step))
        else:
            meta.linked[item] = tuple(number & mask for number in data[first:at])


def _read_locations(_: Data, box: Box, meta: Meta, __: Iterator[int]) -> None:
    meta.locations = box


def _read_inline(_: Data, box: Box, meta: Meta, __: Iterator[int]) -> None:
    meta.inline = box


_READERS = {
    b"pitm": _read_primary,
    b"iinf": _read_items,
    b"iref": _read_references,
    b"iprp": _read_properties,
    b"iloc": _read_locations,
    b"idat": _read_inline,
}


def _number(data: Data, at: int, *, wide: bool) -> int:
    number: int = (_read_32 if wide else _read_16)(data, at)[0]
    return number


def _inside(data: Data, box: Box, parts: Iterator[int], skip: int = 0) -> Iterator[Box]:
    """The boxes within `box`, which must hold them entirely."""
    for inner in _boxes(data, box.start + skip, box.end, parts):
        if inner.end > box.end:
            raise CorruptImage
        yield inner


def _boxes(data: Data, at: int, end: int, parts: Iterator[int]) -> Iterator[Box]:
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
