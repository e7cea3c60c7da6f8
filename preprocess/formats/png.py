"""A PNG file from the outside: its chunks. No pixels.

Names of chunks are those of the PNG specification. Of the chunks, only those that make the picture reach the
decoder; damage in any other is as harmless here as in libpng, which warns and goes on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from preprocess.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from preprocess.formats.outline import Extract, Outline
from preprocess.limits import Limits

_read_chunk = struct.Struct(">I4s").unpack_from  # length of the content, name
_read_size = struct.Struct(">II").unpack_from
_read_32 = struct.Struct(">I").unpack_from
_SIGNATURE = 8  # bytes
_FRAME = 12  # bytes of a chunk around its content: length, name, checksum
_HEADER = 13  # bytes of IHDR's content
_RAW_EXIF = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_MAX_RAW_EXIF = 1 << 18  # bytes of hexadecimal
_GREY, _RGB, _PALETTE = 0, 2, 3  # colour types that a tRNS chunk can belong to


class _Chunk(NamedTuple):
    name: bytes
    content: int  # offset
    length: int  # bytes of the content

    @property
    def start(self) -> int:
        return self.content - 8

    @property
    def end(self) -> int:
        return self.content + self.length + 4


def outline(data: bytes | memoryview, limits: Limits) -> Outline:
    """Size in pixels, within `limits`.

    Raises CorruptImage, UnsupportedFormat, TooManyPixels, TruncatedImage; struct.error where the bytes end early.
    """
    found: tuple[int, int] | None = None
    for chunk in _chunks(data, limits.max_parts):
        if chunk.name == b"CgBI" and found is None:
            raise UnsupportedFormat  # what Apple's tools make of a PNG for an app: no PNG any more
        if (chunk.name == b"IHDR") != (found is None):  # it stands first, and only there: decoders take the last
            raise CorruptImage
        if found is None:
            if chunk.length != _HEADER:
                raise CorruptImage
            found = limits.admit(*_read_size(data, chunk.content))  # at once: a cut bomb is still a bomb
        elif chunk.name == b"IEND":
            break
        elif chunk.name == b"IDAT":
            return Outline(*found)
    raise CorruptImage


def check(data: bytes, limits: Limits) -> None:
    """Refuse a file that has lost its end, or that has more chunks or frames than `limits` allow.

    Raises TruncatedImage, CorruptImage.
    """
    frames = 0
    try:
        for chunk in _chunks(data, limits.max_chunks):
            if chunk.name == b"IEND":
                return
            frames += chunk.name == b"fcTL"
            if frames > limits.max_frames:
                raise CorruptImage
    except struct.error:
        raise TruncatedImage from None


def extract(data: bytes, limits: Limits) -> Extract:
    """The chunks that make the picture, its EXIF block and its profile. `data` has passed `check`.

    A profile of more than `limits.max_profile` bytes, or one that cannot be unpacked, counts as none.
    """
    colour = data[25]
    kept = _Kept(data[:_SIGNATURE])
    colours, pixels_over = 0, False
    exif = raw = profile = None
    for chunk in _chunks(data, limits.max_chunks):
        name = chunk.name
        if name == b"IDAT":
            if not pixels_over:
                kept.add(data, chunk)
        elif name == b"IHDR" or (name == b"PLTE" and colour == _PALETTE and not kept.pixels):
            kept.add(data, chunk)
            colours = chunk.length // 3
        elif name == b"tRNS" and not kept.pixels and _says_clear(chunk.length, colour, colours):
            if _is_whole(data, chunk):
                kept.add(data, chunk)
        elif name == b"eXIf" and exif is None and _is_whole(data, chunk):
            exif = data[chunk.content : chunk.end - 4]
        elif name in (b"tEXt", b"zTXt") and raw is None and _is_raw_exif(data, chunk) and _is_whole(data, chunk):
            raw = _from_hexadecimal(data[chunk.content : chunk.end - 4], packed=name == b"zTXt")
        elif name == b"iCCP" and profile is None and _is_whole(data, chunk):
            profile = _unpacked(data[chunk.content : chunk.end - 4], limits.max_profile)
        elif name == b"IEND":
            kept.add(data, chunk)
            break
        pixels_over = kept.pixels and name != b"IDAT"  # what follows in further IDAT chunks belongs to nothing
    return Extract(kept.joined(data), exif or raw, profile)


def depth(data: bytes) -> int:
    """Bits of one sample: 1, 2, 4, 8 or 16. `data` has passed `outline`."""
    return data[24]


class _Kept:
    """The chunks of a new file, in runs: most files are one run, and are not copied at all."""

    def __init__(self, signature: bytes) -> None:
        self._runs: list[tuple[int, int]] = [(0, len(signature))]
        self.pixels = False

    def add(self, data: bytes, chunk: _Chunk) -> None:
        self.pixels |= chunk.name == b"IDAT"
        start, end = self._runs[-1]
        if end == chunk.start:
            self._runs[-1] = (start, chunk.end)
        else:
            self._runs.append((chunk.start, chunk.end))

    def joined(self, data: bytes) -> bytes:
        if len(self._runs) == 1:
            return data[: self._runs[0][1]]
        return b"".join(memoryview(data)[start:end] for start, end in self._runs)


def _says_clear(length: int, colour: int, colours: int) -> bool:
    """Whether a tRNS chunk of so many bytes fits its picture; libpng ignores one that does not."""
    if colour == _PALETTE:
        return 0 < length <= colours
    return (colour, length) in ((_GREY, 2), (_RGB, 6))


def _is_whole(data: bytes, chunk: _Chunk) -> bool:
    """Whether the checksum of a chunk is right."""
    end = chunk.end - 4
    checksum: int = _read_32(data, end)[0]
    return zlib.crc32(memoryview(data)[chunk.content - 4 : end]) == checksum


def _is_raw_exif(data: bytes, chunk: _Chunk) -> bool:
    """Whether a text is an EXIF block in hexadecimal, which ImageMagick wrote before there was a chunk for it."""
    return any(data.startswith(keyword, chunk.content) for keyword in _RAW_EXIF)


def _from_hexadecimal(content: bytes, *, packed: bool) -> bytes | None:
    """The EXIF block in such a text: a keyword, then lines with a name, a length and the digits."""
    text = content.partition(b"\0")[2]
    try:
        if packed:
            text = zlib.decompressobj().decompress(text[1:], _MAX_RAW_EXIF)
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return None


def _unpacked(content: bytes, most: int) -> bytes | None:
    """The profile in an iCCP chunk: a name, a zero, a method (0), and bytes for zlib."""
    _, _, packed = content.partition(b"\0")
    if packed[:1] != b"\0":
        return None
    try:
        profile = zlib.decompressobj().decompress(packed[1:], most + 1)
    except zlib.error:
        return None
    return profile if 0 < len(profile) <= most else None


def _chunks(data: bytes | memoryview, most: int) -> Iterator[_Chunk]:
    """Yield each chunk; raise where one is cut short, or past `most`."""
    at = _SIGNATURE
    for _ in range(most):
        length, name = _read_chunk(data, at)
        if at + length + _FRAME > len(data):
            raise TruncatedImage
        yield _Chunk(name, at + 8, length)
        at += length + _FRAME
    raise CorruptImage
