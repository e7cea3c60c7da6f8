"""A JPEG file from the outside: its segments, its scans and its end. No pixels.

Markers are those of ITU-T T.81, table B.1. Where readers of JPEG are known to disagree (a second frame
header, bytes between segments) we refuse or follow the decoder, since a header that says less than the
decoder finds is an attack. Of the segments before the first scan, only those that make the picture reach the
decoder: what a camera or an editor put into the others harms nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from preprocess.formats.outline import Extract, Outline
from preprocess.limits import Limits

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn: all but DHT, JPG and DAC
_DECODED = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA})  # libjpeg-turbo knows no other frame
_JPEG_LS = 0xF7
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # no length follows: stuffing, TEM, RSTn, SOI
_END = 0xD9
_SCAN = 0xDA
_JFIF, _EXIF, _PROFILE, _ADOBE, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_NOTES = frozenset({*range(0xE0, 0xF0), _COMMENT})  # APPn and COM: what others left
_PASSES = 16  # over a picture of `limits.max_pixels`; more over a smaller one, up to `limits.max_scans`
_STEP = 1_024  # bytes looked at in one go where a marker is missing

_read_frame = struct.Struct(">HBHHB").unpack_from  # length, bits, height, width, components
# What ends the bytes of a scan: a marker that is neither a stuffed 0xFF nor a restart.
_next_marker = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]").search


class _Frame(NamedTuple):
    width: int
    height: int
    components: int
    progressive: bool


def outline(data: bytes | memoryview, limits: Limits) -> Outline:
    """Size in pixels, within `limits`.

    Raises CorruptImage, UnsupportedFormat, TooManyPixels, TruncatedImage; IndexError or struct.error where the bytes
    end early.
    """
    frame, scan = _frame(data, limits)
    many_scans = frame.progressive or data[scan + 2] != frame.components
    return Outline(frame.width, frame.height, progressive=many_scans)


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or that asks for more passes than `limits.max_scans`.

    What follows the end of the picture (a second one, a video) is not looked at.

    Raises TruncatedImage, CorruptImage.
    """
    scans(data, limits)


def scans(data: bytes, limits: Limits) -> int:
    """How many passes over the picture the file asks for, counted up to its end. Raises as `check`."""
    frame, scan = _frame(data, limits)
    most = min(limits.max_scans, max(1, _PASSES * limits.max_pixels // (frame.width * frame.height)))
    count, at = 0, scan - 2
    try:
        for _ in range(limits.max_parts):
            marker = data[at + 1]
            if marker == _END:
                return count
            count += marker == _SCAN
            if count > most:
                raise CorruptImage
            at = at + 2 if marker in _ALONE else _after(data, at + 2)
            found = _next_marker(data, at)
            if found is None:
                raise TruncatedImage
            at = found.start()
    except (IndexError, struct.error):
        raise TruncatedImage from None
    raise CorruptImage


def extract(data: bytes, limits: Limits) -> Extract:
    """The picture without notes of others, its EXIF block and its profile. `data` has passed `check`."""
    parts, exif, pieces = [b"\xff\xd8"], b"", []
    for marker, start in _segments(data, limits.max_parts):
        if marker == _SCAN:
            parts.append(data[start - 2 :])
            break
        end = _after(data, start)
        content = data[start + 2 : end]
        if marker not in _NOTES or _is_for_decoder(marker, content):
            parts.append(data[start - 2 : end])
        elif marker == _EXIF and content.startswith(b"Exif\0\0"):
            exif += content[6:] if exif else content  # one too long for a segment goes on in the next
        elif marker == _PROFILE and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            pieces.append(content)
    return Extract(b"".join(parts), exif or None, _joined(pieces, limits.max_profile))


def _is_for_decoder(marker: int, content: bytes) -> bool:
    """Whether libjpeg reads a note: JFIF's and Adobe's say how colours are stored. Shorter ones it ignores."""
    if marker == _JFIF:
        return content.startswith(b"JFIF\0") and len(content) >= 14
    return marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= 12


def _joined(pieces: list[bytes], most: int) -> bytes | None:
    """A profile of its pieces, each of which has its number, from 1, and their count; None if one is missing."""
    pieces = sorted(pieces, key=lambda piece: piece[12])
    if [piece[12] for piece in pieces] != list(range(1, len(pieces) + 1)):
        return None
    if not pieces or pieces[0][13] != len(pieces):
        return None
    profile = b"".join(piece[14:] for piece in pieces)
    return profile if len(profile) <= most else None


def _frame(data: bytes | memoryview, limits: Limits) -> tuple[_Frame, int]:
    """The frame header, and the offset of the first scan's."""
    frame: _Frame | None = None
    for marker, start in _segments(data, limits.max_parts):
        if marker == _JPEG_LS:
            raise UnsupportedFormat
        if marker in _FRAMES:
            if frame:
                raise CorruptImage
            frame = _read(data, marker, start)
            limits.admit(frame.width, frame.height)
        elif marker == _SCAN and frame:
            return frame, start
    raise CorruptImage


def _read(data: bytes | memoryview, marker: int, start: int) -> _Frame:
    length, bits, height, width, components = _read_frame(data, start)
    if length != 8 + 3 * components or not 2 <= bits <= 16:
        raise CorruptImage
    if bits != 8 or marker not in _DECODED or components not in (1, 3, 4):
        raise UnsupportedFormat  # right by the standard, but not read here
    return _Frame(width, height, components, marker in _PROGRESSIVE)


def _segments(data: bytes | memoryview, max_parts: int) -> Iterator[tuple[int, int]]:
    """Yield the segments up to the first scan: marker, and offset of the length, which counts itself.

    Every turn of the loop counts as a part, so that neither a million tiny segments nor padding can keep us
    busy.
    """
    at = 2
    for _ in range(max_parts):
        if data[at] != 0xFF:  # decoders skip to the next marker
            gap = bytes(data[at : at + _STEP]).find(0xFF)
            at += gap if gap >= 0 else _STEP
            continue
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # 0xFF may be repeated as filling
            at += 1 if marker == 0xFF else 2
            continue
        yield marker, at + 2
        if marker in (_SCAN, _END):
            return
        length = data[at + 2] << 8 | data[at + 3]
        if length < 2:
            raise CorruptImage
        at += 2 + length
        if at > len(data):
            raise TruncatedImage
    raise CorruptImage


def _after(data: bytes | memoryview, start: int) -> int:
    """The offset behind the segment whose length stands at `start`."""
    length = data[start] << 8 | data[start + 1]
    if length < 2:
        raise CorruptImage
    if start + length > len(data):
        raise TruncatedImage
    return start + length
