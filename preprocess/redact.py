"""An image without what its camera or editor wrote beside the picture: EXIF, GPS, XMP, comments, thumbnails.

Pixels are not touched, nor is what decides how they are shown: colour profile, transparency, and which way up (a new
EXIF block says that, and nothing else). What follows the end of the picture is cut off. Only what is known to make the
picture is kept, so that a note of a kind that nobody has heard of goes as well.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from preprocess.errors import ImageError
from preprocess.exif import orientation
from preprocess.formats import gif, png
from preprocess.header import Format
from preprocess.limits import Limits

_SOI, _EOI, _SOS, _JFIF, _EXIF, _PROFILE, _ADOBE = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE
_TEM = 0x01
_NOTES = frozenset({*range(0xE0, 0x100)})  # APPn, JPGn, COM
_next_marker = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]").search  # no stuffed 0xFF, no restart, no filling

_PNG_KEPT = frozenset(
    {
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI",
        b"sBIT", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
    }
)  # fmt: skip
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_WEBP_PICTURE = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # flags of VP8X
_UPRIGHT: Final = 1


def without_metadata(data: bytes, form: Format, limits: Limits) -> bytes | None:
    """The image, its picture unchanged, without metadata. None where that cannot be done: BMP, AVIF, HEIC, damage."""
    strip = _STRIP.get(form)
    try:
        return strip(data, limits) if strip else None
    except (ImageError, struct.error, IndexError):
        return None


def _jpeg(data: bytes, limits: Limits) -> bytes | None:
    parts, exif, at = [b"\xff\xd8"], b"", 2
    for _ in range(limits.max_parts):
        found = _next_marker(data, at)
        if found is None:
            return None
        start, marker = found.start(), data[found.start() + 1]
        if marker == _EOI:
            return b"".join((*parts[:1], _jpeg_exif(orientation(exif)), *parts[1:], b"\xff\xd9"))
        if marker in (_SOI, _TEM):
            at = start + 2
            continue
        (length,) = struct.unpack_from(">H", data, start + 2)
        at = start + 2 + length
        content = data[start + 4 : at]
        if marker == _EXIF and content.startswith(b"Exif\0\0"):
            exif += content[6:] if exif else content
        elif kept := _jpeg_kept(marker, content):
            parts.append(b"\xff%c%b%b" % (marker, struct.pack(">H", len(kept) + 2), kept))
        if marker == _SOS:
            following = _next_marker(data, at)
            if following is None:
                return None
            parts.append(data[at : following.start()])
    return None


def _jpeg_kept(marker: int, content: bytes) -> bytes:
    """What stays of a segment: of JFIF's not the thumbnail, of Adobe's not what follows the colours."""
    if marker not in _NOTES:
        return content
    if marker == _JFIF and content.startswith(b"JFIF\0") and len(content) >= 14:
        return content[:12] + b"\0\0"
    if marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= 12:
        return content[:12]
    return content if marker == _PROFILE and content.startswith(b"ICC_PROFILE\0") else b""


def _jpeg_exif(which: int) -> bytes:
    block = _exif(which)
    return b"\xff%c%b%b" % (_EXIF, struct.pack(">H", len(block) + 8), b"Exif\0\0" + block) if block else b""


def _exif(which: int) -> bytes:
    """A block (TIFF) that says which way up, and nothing else; empty for upright."""
    if which == _UPRIGHT:
        return b""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, which, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def _png(data: bytes, limits: Limits) -> bytes | None:
    block = _exif(orientation(png.extract(data, limits).exif or b""))
    parts, at = [data[:8]], 8
    for _ in range(limits.max_chunks):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if name in _PNG_KEPT:
            parts.append(data[at:end])
        if name == b"IHDR" and block:
            parts.append(_png_chunk(b"eXIf", block))
        if name == b"IEND":
            return b"".join(parts)
        at = end
    return None


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _webp(data: bytes, limits: Limits) -> bytes | None:
    end = min(len(data), struct.unpack_from("<I", data, 4)[0] + 8)
    chunks = list(_webp_chunks(data, 12, end, limits.max_chunks))
    which = orientation(next((content for name, content in chunks if name == b"EXIF"), b""))
    kept = [(name, _webp_content(name, content, which, limits)) for name, content in chunks if name in _WEBP_KEPT]
    parts = [_webp_chunk(name, content) for name, content in kept]
    if which != _UPRIGHT:
        parts.append(_webp_chunk(b"EXIF", _exif(which)))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_content(name: bytes, content: bytes, which: int, limits: Limits) -> bytes:
    """Of a chunk that is kept: the flags say what there is, and a picture of an animation is made of chunks itself."""
    if name == b"VP8X":
        flags = content[0] & ~(_WEBP_EXIF | _WEBP_XMP) | (_WEBP_EXIF if which != _UPRIGHT else 0)
        return bytes([flags]) + content[1:10]
    if name == b"ANMF":
        inside = _webp_chunks(content, 16, len(content), limits.max_chunks)
        return content[:16] + b"".join(_webp_chunk(each, data) for each, data in inside if each in _WEBP_PICTURE)
    return content


def _webp_chunks(data: bytes, at: int, end: int, most: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(most):
        if at + 8 > end:
            return
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : min(at + 8 + length, end)]
        at += 8 + length + length % 2


def _webp_chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


_STRIP: Final[Mapping[Format, Callable[[bytes, Limits], bytes | None]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "gif": gif.pictures_alone,
}
