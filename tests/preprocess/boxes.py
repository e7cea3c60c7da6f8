"""AVIF and HEIC files, box by box: real streams of small pictures in containers that may say anything of them."""

import struct
from typing import NamedTuple

from preprocess import Limits
from preprocess.formats import bmff

LIMITS = Limits()
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


def box(name, *parts, version=None, flags=0):
    """One box of ISO-BMFF; with a version it has flags too."""
    content = (b"" if version is None else struct.pack(">I", version << 24 | flags)) + b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), name) + content


def ftyp(*brands):
    return box(b"ftyp", brands[0], b"\0" * 4, *brands[1:])


def ispe(width, height):
    return box(b"ispe", struct.pack(">II", width, height), version=0)


def clap(width, height, across=0, down=0, part=1):
    """Keep so much of a picture, its middle so far from the picture's middle, in units of 1 / `part` pixels."""
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, part, down, part))


def irot(quarters):
    """So many quarters of a turn, anticlockwise."""
    return box(b"irot", bytes([quarters]))


def imir(axis):
    """0 exchanges top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


def infe(number, kind):
    return box(b"infe", struct.pack(">HH4s", number, 0, kind), b"\0", version=2)


def grid(rows, columns, width, height, wide=False):
    """The content of an item that is put together of tiles."""
    return struct.pack(">BBBB" + ("II" if wide else "HH"), 0, wide, rows - 1, columns - 1, width, height)


def overlay(width, height, places):
    """The content of an item that lays others on a canvas, each at its (left, top)."""
    return struct.pack(">BBHHHHHH", 0, 0, 0, 0, 0, 0xFFFF, width, height) + b"".join(
        struct.pack(">hh", *place) for place in places
    )


class Item(NamedTuple):
    """One item of a file; `properties` are whole boxes, `of` are the numbers (from 1) of what it is made of."""

    kind: bytes
    content: bytes
    properties: tuple[bytes, ...]
    of: tuple[int, ...] = ()
    alpha_of: int = 0


def file(*items, brand=b"avif", primary=1):
    """A file of these items, numbered from 1."""
    pool = list(dict.fromkeys(each for item in items for each in item.properties))
    links = b"".join(
        struct.pack(">HB", number, len(item.properties)) + bytes(1 + pool.index(each) for each in item.properties)
        for number, item in enumerate(items, 1)
    )
    references = b"".join(
        box(name, struct.pack(f">HH{len(targets)}H", number, len(targets), *targets))
        for number, item in enumerate(items, 1)
        for name, targets in ((b"dimg", item.of), (b"auxl", (item.alpha_of,) * bool(item.alpha_of)))
        if targets
    )

    def meta(start):
        places, at = b"", start
        for number, item in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, at, len(item.content))
            at += len(item.content)
        entries = b"".join(infe(number, item.kind) for number, item in enumerate(items, 1))
        return box(
            b"meta",
            box(b"hdlr", b"\0" * 4 + b"pict" + b"\0" * 13, version=0),
            box(b"pitm", struct.pack(">H", primary), version=0),
            box(b"iloc", struct.pack(">HH", 0x4400, len(items)), places, version=0),
            box(b"iinf", struct.pack(">H", len(items)), entries, version=0),
            box(b"iref", references, version=0) if references else b"",
            box(b"iprp", box(b"ipco", *pool), box(b"ipma", struct.pack(">I", len(items)), links, version=0)),
            version=0,
        )

    head = ftyp(brand, brand, b"mif1", b"miaf")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", *(item.content for item in items))


def items(data):
    """The coded items of an encoder's file, as `Item`s: the primary one first, then its alpha."""
    meta = bmff.read_meta(data, LIMITS)
    coded = [number for number, kind in meta.kinds.items() if kind in (b"av01", b"hvc1")]
    coded.sort(key=lambda number: number != meta.primary)
    contents = bmff.contents(data, meta, set(coded), LIMITS)
    return [
        Item(
            meta.kinds[number],
            bytes(contents[number]),
            tuple(data[each.start - 8 : each.end] for each in meta.of(number)),
            alpha_of=0 if number == meta.primary else 1,
        )
        for number in coded
    ]


def said(item, width, height):
    """`item` with another size in its `ispe`."""
    other = tuple(ispe(width, height) if each[4:8] == b"ispe" else each for each in item.properties)
    return item._replace(properties=other)
