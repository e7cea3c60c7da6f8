"""How large the pictures of an HEVC bitstream are, and how many: what a decoder will unpack. No pixels.

Names are those of ITU-T H.265, section 7.3, and of ISO/IEC 14496-15 for the record that stands before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from preprocess.errors import CorruptImage
from preprocess.formats.bits import Bits

Size = tuple[int, int]  # width, height in pixels

_LAST_SLICE = 31  # nal_unit_type of slices: from 0
_SPS = 33
_HEADER = 2  # bytes of a NAL unit's header
_SPS_BYTES = 256  # more than what stands before the size takes


class Record(NamedTuple):
    """What an hvcC box says."""

    length_size: int  # bytes of the length before each NAL unit
    sizes: tuple[Size, ...]  # of the pictures that its parameter sets describe


def read_record(box: bytes | memoryview, most: int) -> Record:
    """The content of an hvcC box. Raises CorruptImage, IndexError."""
    view = memoryview(box)
    sizes: list[Size] = []
    at = 23
    for _ in range(view[22]):
        kind, count = view[at] & 0x3F, int.from_bytes(view[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(view[at : at + 2], "big")
            if at + 2 + length > len(view) or len(sizes) > most:
                raise CorruptImage
            if kind == _SPS:
                sizes.append(read_sps(view[at + 2 : at + 2 + length]))
            at += 2 + length
    return Record((view[21] & 3) + 1, tuple(sizes))


def pictures(data: bytes | memoryview, record: Record, most: int) -> Iterator[Size | None]:
    """Yield the size that each parameter set in the data of one item describes, and None for each picture.

    Raises CorruptImage where there are more than `most` NAL units; IndexError where the bytes end early.
    """
    view, at, count = memoryview(data), 0, 0
    while at + record.length_size <= len(view):
        count += 1
        if count > most:
            raise CorruptImage
        length = int.from_bytes(view[at : at + record.length_size], "big")
        at += record.length_size
        unit = view[at : at + length]
        at += length
        if len(unit) <= _HEADER:
            continue
        kind = unit[0] >> 1 & 0x3F
        if kind == _SPS:
            yield read_sps(unit)
        elif kind <= _LAST_SLICE and unit[2] & 0x80:  # first_slice_segment_in_pic_flag
            yield None


def read_sps(unit: bytes | memoryview) -> Size:
    """The size of the pictures that a sequence parameter set describes, cropped as it says. Raises IndexError."""
    bits = Bits(_unescaped(bytes(unit[_HEADER:_SPS_BYTES])))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _skip_levels(bits, layers)
    bits.exp_golomb()
    chroma = bits.exp_golomb()
    if chroma == 3:
        bits.take(1)
    width, height = bits.exp_golomb(), bits.exp_golomb()
    if bits.flag():  # conformance_window_flag
        left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1)
    return width, height


def _skip_levels(bits: Bits, layers: int) -> None:
    """profile_tier_level()."""
    bits.take(96)
    present = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)


def _unescaped(data: bytes) -> bytes:
    """Without the bytes that keep start codes out."""
    return data.replace(b"\0\0\3", b"\0\0")
