"""An AVIF or HEIC file from the outside: which items its picture is made of, and what their decoder will unpack.

A file may say one size and hold another: in the stream of an item, in the tiles of a grid, in a second frame. So the
header counts every item that the picture needs, and the check reads each of their streams' own headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from preprocess.errors import CorruptImage, TooManyPixels, UnsupportedFormat
from preprocess.formats import av1, bmff, hevc, transforms
from preprocess.formats.bmff import Box, Meta
from preprocess.formats.outline import Extract, Outline
from preprocess.limits import Limits

Size = tuple[int, int]  # width, height in pixels

_read_size = struct.Struct(">4xII").unpack_from  # version and flags, width, height
_read_narrow = struct.Struct(">HH").unpack_from
_read_wide = struct.Struct(">II").unpack_from
_CODED = frozenset({b"av01", b"hvc1"})
_GRID, _OVERLAY, _IDENTITY = b"grid", b"iovl", b"iden"
_DEPTH = 3  # pictures made of pictures made of pictures
_LAYERED = (b"a1lx", b"a1op", b"lsel")  # properties of a picture in several qualities, decoded one on top of another
_LAYERS = 4
_EXTRA = 3  # times `limits.max_pixels`: all that is decoded beside the picture's own size
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
_UNITS = 4_096  # OBUs or NAL units of one item
_NOTES = (b"Exif", b"mime")


def outline(data: bytes | memoryview, limits: Limits) -> Outline:
    """Size in pixels, within `limits`: that of the primary item, before it is cropped or turned.

    Raises CorruptImage, UnsupportedFormat, TooManyPixels, TruncatedImage; struct.error or IndexError where the bytes
    end early.
    """
    meta = bmff.read_meta(data, limits)
    if meta.primary is None:
        raise UnsupportedFormat if data[8:12] == b"avis" else CorruptImage
    width, height = _size(data, meta, meta.primary, limits)
    decoded = sum(share for _, share in _decoded(data, meta, meta.primary, limits))
    if decoded > (1 + _EXTRA) * limits.max_pixels:
        raise TooManyPixels(f"The image has more than {limits.max_pixels} pixels.")
    return Outline(width, height, extra=max(0, decoded - width * height))


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or whose streams hold other pictures than its boxes say.

    Raises TruncatedImage, CorruptImage.
    """
    bmff.check(data, limits)
    meta = bmff.read_meta(data, limits)
    assert meta.primary is not None  # by `outline`
    coded = {item for item, _ in _decoded(data, meta, meta.primary, limits)}
    derived = {item for item in meta.inputs if meta.kinds.get(item) in (_GRID, _OVERLAY)}
    records: dict[Box, hevc.Record] = {}
    try:
        streams = bmff.contents(data, meta, coded | derived, limits)
        for item in coded:
            _check_stream(data, meta, item, streams.get(item, b""), limits, records)
        for item in derived:
            _check_canvas(data, meta, item, bytes(streams.get(item, b"")), limits)
    except (IndexError, struct.error):
        raise CorruptImage from None


def extract(data: bytes, limits: Limits) -> Extract:
    """The file, in which an AVIF's decoder finds the still picture as it is stored. `data` has passed `check`.

    It would take a film's first frame where the file calls itself a film, fail on notes that it cannot read, and on
    crops and turns in another order than it likes: the notes are hidden, crops and turns are done by the caller.
    """
    if bmff.kind(data) != "avif":
        return Extract(data, orientation=1)  # its decoder has cropped and turned it already
    plain = bytearray(data)
    plain[8:12] = b"avif"
    meta = bmff.read_meta(data, limits)
    for item, kind in meta.kinds.items():
        if kind in _NOTES:
            plain[meta.kinds_at[item] : meta.kinds_at[item] + 4] = b"free"
    for item, places in meta.linked_at.items():
        for number, at in zip(meta.linked[item], places, strict=True):
            if 0 < number <= len(meta.properties) and meta.properties[number - 1].name in transforms.NAMES:
                plain[at : at + places.step] = b"\0" * places.step
    assert meta.primary is not None  # by `outline`
    crop, orientation = transforms.shown(data, meta.of(meta.primary), _size(data, meta, meta.primary, limits))
    return Extract(bytes(plain), crop=crop, orientation=orientation)


def _decoded(
    data: bytes | memoryview, meta: Meta, item: int, limits: Limits, depth: int = 0
) -> Iterator[tuple[int, int]]:
    """Yield (item, pixels) of each coded item that is decoded for `item`: what it is made of, and its alpha."""
    if depth > _DEPTH:
        raise CorruptImage
    width, height = _size(data, meta, item, limits)
    kind = meta.kinds.get(item)
    if kind in _CODED:
        yield item, width * height * (_LAYERS if meta.one(item, *_LAYERED) else 1)
    elif kind in (_GRID, _OVERLAY, _IDENTITY):
        if not meta.inputs.get(item):
            raise CorruptImage
        for part in meta.inputs[item]:
            yield from _decoded(data, meta, part, limits, depth + 1)
    elif kind is None:
        raise CorruptImage
    else:
        raise UnsupportedFormat
    for alpha in meta.auxiliaries.get(item, []):
        if _is_alpha(data, meta, alpha):
            yield from _decoded(data, meta, alpha, limits, depth + 1)


def _size(data: bytes | memoryview, meta: Meta, item: int, limits: Limits) -> Size:
    links = meta.linked.get(item, ())
    if links not in meta.sizes:
        box = meta.one(item, b"ispe")
        if box is None:
            raise CorruptImage
        meta.sizes[links] = limits.admit(*_read_size(data, box.start))
    return meta.sizes[links]


def _is_alpha(data: bytes | memoryview, meta: Meta, item: int) -> bool:
    box = meta.one(item, b"auxC")
    return box is not None and bytes(data[box.start + 4 : box.end]).startswith(_ALPHA)


def _check_canvas(data: bytes, meta: Meta, item: int, stream: bytes, limits: Limits) -> None:
    """Raise CorruptImage where a grid or an overlay is of another size than its box says, or its tiles do not fit."""
    size, head = _size(data, meta, item, limits), 4 if meta.kinds[item] == _GRID else 10
    wide = stream[1] & 1
    if size != (_read_wide if wide else _read_narrow)(stream, head):
        raise CorruptImage
    if meta.kinds[item] == _OVERLAY:
        return
    rows, columns = stream[2] + 1, stream[3] + 1
    tiles = {_size(data, meta, tile, limits) for tile in meta.inputs[item]}
    if len(meta.inputs[item]) != rows * columns or len(tiles) != 1:
        raise CorruptImage
    for side, tile, count in zip(size, tiles.pop(), (columns, rows), strict=True):
        if not tile * (count - 1) < side <= tile * count:  # a row of tiles that nobody sees costs as much as any
            raise CorruptImage


def _check_stream(
    data: bytes, meta: Meta, item: int, stream: bytes | memoryview, limits: Limits, records: dict[Box, hevc.Record]
) -> None:
    """Raise CorruptImage where the stream of a coded item holds another picture, or more, than its boxes say.

    `records` are those read already: tiles share one.
    """
    size = _size(data, meta, item, limits)
    if meta.kinds[item] == b"av01":
        layered = meta.one(item, *_LAYERED) is not None
        most = size[0] * size[1] * (_LAYERS if layered else 1)
        box = meta.one(item, b"a1op")
        for width, height in av1.frames(stream, _UNITS, data[box.start] if box else 0):
            most -= width * height
            if most < 0 or (not layered and (width, height) != size):
                raise CorruptImage
        return
    box = meta.one(item, b"hvcC")
    if box is None:
        raise CorruptImage
    if box not in records:
        records[box] = hevc.read_record(data[box.start : box.end], _UNITS)
    found = 0
    for own in (*records[box].sizes, *hevc.pictures(stream, records[box], _UNITS)):
        found += own is None
        if found > 1 or (own is not None and own != size):
            raise CorruptImage
