"""Image formats that are recognised, only to say "unsupported" instead of "not an image". Bounded work."""

from __future__ import annotations

import re
import zlib

Signature = tuple[tuple[int, bytes], ...]  # (offset, the bytes that stand there), all of which must match

_SIGNATURES: tuple[Signature, ...] = (
    ((0, b"II*\0"),),  # TIFF, and most raw camera formats
    ((0, b"MM\0*"),),
    ((0, b"II+\0"),),  # BigTIFF
    ((0, b"MM\0+"),),
    ((0, b"IIRO"),),  # Olympus
    ((0, b"IIRS"),),
    ((0, b"IIU\0"),),  # Panasonic
    ((0, b"FUJIFILMCCD-RAW"),),
    ((0, b"FOVb"),),  # Sigma
    ((0, b"II\xbc"),),  # JPEG XR
    ((4, b"ftypcrx "),),  # Canon
    ((4, b"ftyphev"),),  # HEIC sequences
    ((4, b"ftypmif"),),  # HEIF of another kind
    ((4, b"ftypmsf1"),),
    ((0, b"\xff\x0a"),),  # JPEG XL
    ((0, b"\0\0\0\x0cJXL \r\n\x87\n"),),
    ((0, b"\0\0\0\x0cjP  \r\n\x87\n"),),  # JPEG 2000
    ((0, b"\xff\x4f\xff\x51"),),
    ((0, b"8BPS"),),  # Photoshop
    ((0, b"gimp xcf"),),
    ((0, b"qoif"),),
    ((0, b"BPG\xfb"),),
    ((0, b"FLIF"),),
    ((0, b"\x8aMNG\r\n\x1a\n"),),
    ((0, b"\x8bJNG\r\n\x1a\n"),),
    ((0, b"\0\0\1\0"), (5, b"\0")),  # icons of Windows
    ((0, b"\0\0\2\0"), (5, b"\0")),
    ((0, b"icns"),),
    ((0, b"DDS "),),
    ((0, b"\x76\x2f\x31\x01"),),  # OpenEXR
    ((0, b"#?RADIANCE"),),
    ((0, b"SIMPLE  ="),),  # FITS
    ((0, b"\xd7\xcd\xc6\x9a"),),  # Windows metafiles
    ((0, b"\1\0\0\0"), (40, b" EMF")),
    ((0, b"AT&TFORM"),),  # DjVu
    ((0, b"/* XPM */"),),
)
_NETPBM = re.compile(rb"P[1-7f]\s+(#[^\n]*\n\s*)*(\d+|WIDTH)\s").match
_SVG = re.compile(rb"<(\w+:)?svg[\s/>]").match
_PROLOGUE = 4_096  # bytes of an SVG that are looked at
_GZIP = b"\x1f\x8b"


def is_unsupported(data: bytes | memoryview) -> bool:
    """Whether `data` starts like an image of a format that is not read."""
    if any(matches(data, signature) for signature in _SIGNATURES):
        return True
    start = bytes(data[:_PROLOGUE])
    if start.startswith(_GZIP):
        start = _unzipped(start)
    return _NETPBM(start) is not None or _is_svg(start)


def matches(data: bytes | memoryview, signature: Signature) -> bool:
    return all(data[offset : offset + len(part)] == part for offset, part in signature)


def _is_svg(text: bytes) -> bool:
    """Whether the first element is an SVG's, behind what XML lets stand before it."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):  # 16 bits a letter
        text = text[2:].replace(b"\0", b"")
    text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
    while not _SVG(text):
        if text.startswith(b"<?"):
            end = b"?>"
        elif text.startswith(b"<!--"):
            end = b"-->"
        elif text[:9].upper() == b"<!DOCTYPE":
            end = b"]>" if b"[" in text.partition(b">")[0] else b">"
        else:
            return False
        text = text.partition(end)[2].lstrip()
    return True


def _unzipped(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _PROLOGUE)
    except zlib.error:
        return b""
