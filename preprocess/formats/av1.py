"""How large the frames of an AV1 bitstream are, and how many: what a decoder will unpack. No pixels.

Names are those of the AV1 Bitstream and Decoding Process Specification, sections 5.3 to 5.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from preprocess.errors import CorruptImage
from preprocess.formats.bits import Bits

Size = tuple[int, int]  # width, height in pixels

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6  # obu_type
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3  # frame_type
_HEADER_BYTES = 96  # more than any header takes up to what is read here
_REFERENCES = 8
_SELECT = 2  # SELECT_SCREEN_CONTENT_TOOLS, SELECT_INTEGER_MV


@dataclass(frozen=True, slots=True)
class Sequence:
    """What a sequence header says, as far as frame headers are read by it."""

    width: int
    height: int
    width_bits: int
    height_bits: int
    reduced: bool = False  # reduced_still_picture_header
    id_bits: int = 0  # of a frame's id; 0 where frames have none
    delta_bits: int = 0
    order_bits: int = 0
    screen_content: int = _SELECT
    integer_mv: int = _SELECT
    superres: bool = False
    equal_interval: bool = False
    time_bits: int = 0  # of frame_presentation_time; 0 without a decoder model
    removal_bits: int = 0
    points: tuple[int, ...] = (0,)  # operating_point_idc: the layers of each
    modelled: tuple[int, ...] = ()  # of those that have a decoder model


def frames(data: bytes | memoryview, most: int, point: int = 0) -> Iterator[Size]:
    """Yield the size of each frame that is decoded, upscaled ones as they are unpacked, in the data of one item.

    `point` is the number of the operating point: frames of other layers are dropped.

    Raises CorruptImage where there are more than `most` OBUs, or a frame before any sequence header; IndexError where
    the bytes end early.
    """
    sequence: Sequence | None = None
    references: list[Size] = [(0, 0)] * _REFERENCES
    for kind, extension, content in _units(data, most):
        if kind == _SEQUENCE:
            sequence = read_sequence(content)
        elif kind in (_FRAME_HEADER, _FRAME):
            if sequence is None or point >= len(sequence.points):
                raise CorruptImage
            if extension is not None and not _is_in(sequence.points[point], extension):
                continue
            size = _frame(Bits(content[:_HEADER_BYTES]), sequence, extension, references)
            if size:
                yield size


def read_sequence(content: bytes | memoryview) -> Sequence:
    """The sequence header in `content`. Raises IndexError."""
    bits = Bits(content[:_HEADER_BYTES])
    bits.take(3)  # seq_profile
    bits.take(1)  # still_picture
    reduced = bits.flag()
    if reduced:
        bits.take(5)
        points = _Points()
    else:
        points = _points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    if reduced:
        bits.take(3)
        return Sequence(width, height, width_bits, height_bits, reduced=True, superres=bits.flag())
    delta = identity = 0
    if bits.flag():  # frame_id_numbers_present_flag
        delta = bits.take(4) + 2
        identity = bits.take(3) + delta + 1
    bits.take(7)
    ordered = bits.flag()
    if ordered:
        bits.take(2)
    screen = _SELECT if bits.flag() else bits.take(1)
    integer = _SELECT
    if screen:
        integer = _SELECT if bits.flag() else bits.take(1)
    order = bits.take(3) + 1 if ordered else 0
    return Sequence(
        width,
        height,
        width_bits,
        height_bits,
        id_bits=identity,
        delta_bits=delta,
        order_bits=order,
        screen_content=screen,
        integer_mv=integer,
        superres=bits.flag(),
        points=points.points,
        equal_interval=points.equal_interval,
        time_bits=points.time_bits,
        removal_bits=points.removal_bits,
        modelled=points.modelled,
    )


@dataclass(frozen=True, slots=True)
class _Points:
    points: tuple[int, ...] = (0,)
    equal_interval: bool = False
    time_bits: int = 0
    removal_bits: int = 0
    modelled: tuple[int, ...] = ()


def _points(bits: Bits) -> _Points:
    """Timing and operating points of a sequence header."""
    equal = False
    delay = removal = time = 0
    if bits.flag():  # timing_info_present_flag
        bits.take(64)
        equal = bits.flag()
        if equal:
            bits.exp_golomb()
        if bits.flag():  # decoder_model_info_present_flag
            delay = bits.take(5) + 1
            bits.take(32)
            removal, time = bits.take(5) + 1, bits.take(5) + 1
    delayed = bits.flag()
    points, modelled = [], []
    for _ in range(bits.take(5) + 1):
        point = bits.take(12)
        points.append(point)
        if bits.take(5) > 7:
            bits.take(1)
        if time and bits.flag():
            modelled.append(point)
            bits.take(2 * delay + 1)
        if delayed and bits.flag():
            bits.take(4)
    return _Points(tuple(points), equal, time, removal, tuple(modelled))


def _units(data: bytes | memoryview, most: int) -> Iterator[tuple[int, int | None, memoryview]]:
    """Yield (type, extension byte or None, content) of each OBU."""
    view, at, count = memoryview(data), 0, 0
    while at < len(view):
        count += 1
        if count > most:
            raise CorruptImage
        head = view[at]
        at += 1
        extension = None
        if head & 4:
            extension = view[at]
            at += 1
        size = len(view) - at
        if head & 2:
            size, at = _leb128(view, at)
        yield head >> 3 & 15, extension, view[at : at + size]
        at += size


def _leb128(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = view[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise IndexError


def _frame(bits: Bits, sequence: Sequence, extension: int | None, references: list[Size]) -> Size | None:
    """The size of a frame by its header, which updates `references`; None if it shows one that is decoded already."""
    whole = (sequence.width, sequence.height)
    if sequence.reduced:
        return whole
    if bits.flag():  # show_existing_frame
        return None
    kind = bits.take(2)
    shown = bits.flag()
    if shown and sequence.time_bits and not sequence.equal_interval:
        bits.take(sequence.time_bits)
    if not shown:
        bits.take(1)
    resilient = kind == _SWITCH or (kind == _KEY and shown) or bits.flag()
    bits.take(1)
    screen = bits.take(1) if sequence.screen_content == _SELECT else sequence.screen_content
    if screen and sequence.integer_mv == _SELECT:
        bits.take(1)
    bits.take(sequence.id_bits)
    override = kind == _SWITCH or bits.flag()
    bits.take(sequence.order_bits)
    intra = kind in (_KEY, _INTRA_ONLY)
    if not intra and not resilient:
        bits.take(3)  # primary_ref_frame
    if sequence.time_bits and bits.flag():
        _skip_removal_times(bits, sequence, extension)
    refresh = 0xFF if kind == _SWITCH or (kind == _KEY and shown) else bits.take(8)
    size = whole
    if override:
        if (not intra or refresh != 0xFF) and resilient and sequence.order_bits:
            _skip_order_hints(bits, sequence)
        size = _explicit(bits, sequence) if intra else _referred(bits, sequence, references, resilient)
    for index in range(_REFERENCES):
        if refresh >> index & 1:
            references[index] = size
    return size


def _skip_removal_times(bits: Bits, sequence: Sequence, extension: int | None) -> None:
    for point in sequence.modelled:
        if _is_in(point, extension or 0):
            bits.take(sequence.removal_bits)


def _is_in(point: int, extension: int) -> bool:
    """Whether an operating point has the layer that an extension byte names; 0 has all."""
    return not point or bool(point >> (extension >> 5) & 1 and point >> (8 + (extension >> 3 & 3)) & 1)


def _skip_order_hints(bits: Bits, sequence: Sequence) -> None:
    bits.take(_REFERENCES * sequence.order_bits)


def _explicit(bits: Bits, sequence: Sequence) -> Size:
    """frame_size(), where it does not take the sequence's."""
    return bits.take(sequence.width_bits) + 1, bits.take(sequence.height_bits) + 1


def _referred(bits: Bits, sequence: Sequence, references: list[Size], resilient: bool) -> Size:
    """The size of an inter frame: that of a frame it refers to, or its own."""
    short = bits.flag() if sequence.order_bits else False
    if short:
        bits.take(6)
    named = []
    for _ in range(7):
        # Which frames short names mean depends on the order of all: the largest is the bound.
        named.append(_largest(references) if short else references[bits.take(3)])
        bits.take(sequence.delta_bits if sequence.id_bits else 0)
    if not resilient:
        for size in named:
            if bits.flag():  # found_ref
                return size
    return _explicit(bits, sequence)


def _largest(sizes: list[Size]) -> Size:
    return max(width for width, _ in sizes), max(height for _, height in sizes)
