"""What WebP, GIF, BMP, AVIF and HEIC say of themselves, read without a decoder."""

import io
import struct
import subprocess
import sys
import time

import pytest
from PIL import Image

from preprocess import (
    CorruptImage,
    Header,
    ImageError,
    Limits,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
    read_header,
)
from tests.preprocess.boxes import box, ftyp, infe, ispe
from tests.preprocess.mutations import good_files
from tests.preprocess.pictures import bmp, encode, gif, photo, with_alpha

LIMITS = Limits()
FILES = good_files()
BUDGET_S = 30e-6


def webp(name, content, size=None):
    """A WebP file of one chunk."""
    body = b"WEBP" + name + struct.pack("<I", len(content) if size is None else size) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lossy(width, height):
    return webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 20)


def canvas(width, height):
    return webp(b"VP8X", b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def heif(*properties, brands=(b"avif",), primary=1, links=None, extra=b""):
    """An AVIF file without a picture: `properties`, and which item has which."""
    if links is None:
        links = struct.pack(">IHBB", 1, 1, 1, 1)
    inner = box(b"iprp", box(b"ipco", *properties), box(b"ipma", links, version=0))
    number = box(b"pitm", struct.pack(">H", primary), version=0)
    items = box(b"iinf", b"\0\1", infe(primary, b"av01"), version=0)
    return ftyp(*brands) + extra + box(b"meta", number, items, inner, version=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (64, 64), (255, 257), (301, 6)])
@pytest.mark.parametrize("format", ["WEBP", "GIF", "BMP", "AVIF"])
@pytest.mark.parametrize("kind", ["plain", "alpha", "grey"])
def test_agrees_with_pillow(size, format, kind):
    """On sizes of every parity, and kinds of file that start differently, our reading is Pillow's."""
    picture = {"plain": photo(*size), "alpha": with_alpha(photo(*size)), "grey": photo(*size, "L")}[kind]
    data = encode(picture, format)
    header = read_header(data, LIMITS)

    assert (format.lower(), *Image.open(io.BytesIO(data)).size) == (header.format, header.width, header.height)


def test_lossless_webp():
    """The third way a WebP may start."""
    assert Header("webp", 301, 6) == read_header(encode(photo(301, 6), "WEBP", lossless=True), LIMITS)


def test_a_webp_of_several_parts_has_the_size_of_its_canvas():
    """An extended file says its size first, in 24 bits."""
    assert Header("webp", 20_000, 300) == read_header(canvas(20_000, 300), LIMITS)


@pytest.mark.parametrize(("header", "size"), [(12, 4), (40, 4), (52, 4), (56, 4), (64, 4), (108, 4), (124, 4)])
def test_every_header_of_a_bmp(header, size):
    """From OS/2 to Windows 98, and upside down."""
    data = bmp(b"\0" * 12 * size, 4, size, 24, header=header)

    assert Header("bmp", 4, 4) == read_header(data, LIMITS)
    if header > 12:
        assert Header("bmp", 4, 4) == read_header(bmp(b"\0" * 12 * size, 4, -size, 24, header=header), LIMITS)


@pytest.mark.parametrize(
    ("canvas", "frame", "expected"),
    [
        ((10, 8), (0, 0, 10, 8), (10, 8)),
        ((10, 8), (2, 2, 3, 3), (10, 8)),
        ((2, 2), (4, 1, 3, 2), (7, 3)),
        ((0, 0), (0, 0, 5, 6), (5, 6)),
    ],
)
def test_the_canvas_of_a_gif_holds_its_first_picture(canvas, frame, expected):
    """A picture that reaches beyond its canvas widens it, for us as for the decoder."""
    data = gif(canvas, frame, 1, extensions=b"!\xfe\x03abc\0" + b"\0")  # a comment, and a byte that is nothing

    assert Header("gif", *expected) == read_header(data, LIMITS)
    assert expected == Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize(
    ("brands", "format"),
    [
        ((b"avif",), "avif"),
        ((b"avis", b"msf1"), "avif"),
        ((b"mif1", b"miaf", b"avif"), "avif"),
        ((b"heic",), "heic"),
        ((b"heix",), "heic"),
        ((b"mif1", b"heic"), "heic"),
        ((b"msf1", b"hevc", b"heic"), "heic"),
    ],
)
def test_brands(brands, format):
    """A file is what it calls itself, or the first it says it can be read as."""
    assert Header(format, 7, 5) == read_header(heif(ispe(7, 5), brands=brands), LIMITS)


def test_the_primary_item_counts():
    """Of many items, each with properties of its own, the one that is shown gives the size."""
    links = struct.pack(">I", 3) + bytes([0, 1, 1, 1, 0, 9, 3, 0x82, 3, 1, 0, 2, 1, 1])

    found = read_header(heif(ispe(512, 512), box(b"pixi"), ispe(4000, 3000), links=links, primary=9), LIMITS)

    assert Header("avif", 4000, 3000) == found


def test_wide_numbers():
    """Items of 32 bits, properties of 15, and a box whose length takes 64."""
    links = struct.pack(">IIIBH", 1 << 24 | 1, 1, 70_000, 1, 0x8001)
    inner = box(b"iprp", box(b"ipco", ispe(40, 30)), box(b"ipma", links))
    entry = box(b"infe", struct.pack(">IH4s", 70_000, 0, b"av01"), b"\0", version=3)
    body = struct.pack(">I", 0) + box(b"pitm", struct.pack(">I", 70_000), version=1) + inner
    body += box(b"iinf", struct.pack(">I", 1), entry, version=1)
    data = ftyp(b"avif") + struct.pack(">I4sQ", 1, b"meta", 16 + len(body)) + body

    assert Header("avif", 40, 30) == read_header(data, LIMITS)


def test_heic_is_unsupported_where_its_decoder_is_missing():
    """Without the extra the answer is that of any other format we don't read."""
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from preprocess import Limits, UnsupportedFormat, read_header\n"
        "try: read_header(bytes.fromhex(sys.argv[1]), Limits())\n"
        "except UnsupportedFormat: sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", code, FILES["HEIC"][:500].hex()], timeout=30, check=False)

    assert done.returncode == 7


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(webp(b"VP8 ", b"\0" * 30), id="lossy WebP without its start code"),
        pytest.param(webp(b"VP8L", b"\0" * 30), id="lossless WebP without its signature"),
        pytest.param(webp(b"EXIF", b"\0" * 30), id="WebP that starts with something else"),
        pytest.param(lossy(0, 5), id="WebP without width"),
        pytest.param(gif((0, 0), (0, 0, 0, 0), 1), id="GIF without size"),
        pytest.param(gif((9, 9), (0, 0, 1, 1), 1)[:19] + b";", id="GIF without a picture"),
        pytest.param(gif((9, 9), (0, 0, 1, 1), 1, extensions=b"\0" * 50_000), id="GIF of filling"),
        pytest.param(gif((9, 9), (0, 0, 1, 1), 1, extensions=b"!\xfe" + b"\1a" * 50_000 + b"\0"), id="GIF of crumbs"),
        pytest.param(bmp(b"", 0, 5, 24), id="BMP without width"),
        pytest.param(bmp(b"", -5, 5, 24), id="BMP of negative width"),
        pytest.param(bmp(b"\0" * 99, 5, 5, 8, stored=3, extra=b"\0" * 12), id="BMP of 8 bits with masks"),
        pytest.param(bmp(b"\0" * 99, 5, 5, 16, stored=3, extra=b"\xff" * 12), id="BMP whose masks overlap"),
        pytest.param(heif(), id="AVIF without properties"),
        pytest.param(heif(box(b"pixi")), id="AVIF without a size"),
        pytest.param(heif(ispe(0, 5)), id="AVIF without width"),
        pytest.param(heif(ispe(5, 5), primary=2), id="AVIF without its primary item"),
        pytest.param(heif(ispe(5, 5), links=struct.pack(">IHBB", 9, 3, 1, 1)), id="AVIF with too short a list"),
        pytest.param(heif(*[box(b"free")] * 5000, ispe(5, 5)), id="AVIF of too many boxes"),
        pytest.param(heif(ispe(5, 5), extra=struct.pack(">I4s", 3, b"free")), id="box shorter than its length"),
        pytest.param(
            ftyp(b"avif") + box(b"meta", struct.pack(">I4s", 99, b"pitm"), version=0), id="box out of its box"
        ),
        pytest.param(ftyp(b"avif") + box(b"free") * 5000, id="too many boxes before the first that counts"),
        pytest.param(
            heif(ispe(5, 5), links=struct.pack(">I", 2**32 - 1) + b"\0\7\0" * 5000, primary=9),
            id="endless list of items",
        ),
    ],
)
def test_refuses_what_contradicts_its_format(data):
    """A header that is wrong, or that would keep us busy, is refused before any decoder sees it."""
    with pytest.raises(CorruptImage):
        read_header(data, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(canvas(16_000, 16_000), id="WebP"),
        pytest.param(canvas(2**24, 1), id="WebP of one line"),
        pytest.param(lossy(16_383, 16_383), id="lossy WebP"),
        pytest.param(gif((65_535, 65_535), (0, 0, 1, 1), 1), id="GIF"),
        pytest.param(gif((1, 1), (65_535, 65_535, 1, 1), 1), id="GIF whose picture is far away"),
        pytest.param(bmp(b"", 2**31 - 1, 2**31 - 1, 24), id="BMP"),
        pytest.param(bmp(b"", 60_000, -(2**31), 24), id="BMP from the top"),
        pytest.param(heif(ispe(2**32 - 1, 2**32 - 1)), id="AVIF"),
    ],
)
def test_pixel_bombs_are_refused_by_the_header(data):
    """Too many pixels, or too many on one side, in every format."""
    with pytest.raises(TooManyPixels):
        read_header(data, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bmp(b"\0" * 99, 5, 5, 8, stored=1), id="BMP of run lengths"),
        pytest.param(bmp(b"\0" * 99, 5, 5, 24, stored=4), id="BMP that holds a JPEG"),
        pytest.param(bmp(b"\0" * 99, 5, 5, 2), id="BMP of 2 bits"),
        pytest.param(bmp(b"\0" * 99, 5, 5, 24, header=16), id="BMP with a short header of OS/2"),
        pytest.param(ftyp(b"avis") + box(b"moov", b"\0" * 50), id="AVIF film without a still picture"),
        pytest.param(ftyp(b"hevc", b"msf1") + b"\0" * 50, id="HEIC film"),
        pytest.param(ftyp(b"mif1", b"jpeg") + b"\0" * 50, id="HEIF of something else"),
        pytest.param(encode(photo(9, 9), "TIFF"), id="TIFF"),
    ],
)
def test_what_we_do_not_read_is_unsupported(data):
    """Images all the same: they are told apart from rubbish and from damage."""
    with pytest.raises(UnsupportedFormat):
        read_header(data, LIMITS)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_header_is_truncated(name):
    """Wherever a file is cut, its header can be read or is called truncated."""
    data = FILES[name]
    whole = read_header(data, LIMITS)

    for end in range(5, min(len(data), 2000)):
        try:
            assert read_header(data[:end], LIMITS) == whole
        except TruncatedImage:
            pass


def cpu_seconds(data, limits, repeats=50):
    """The least of several tries: the others were disturbed."""
    tries = []
    for _ in range(9):
        begun = time.process_time()
        for _ in range(repeats):
            try:
                read_header(data, limits)
            except ImageError:
                pass
        tries.append((time.process_time() - begun) / repeats)
    return min(tries)


@pytest.mark.parametrize("name", FILES)
def test_a_header_is_read_within_its_budget(name):
    """The event loop reads one of each upload: 30 us, ten times that for a busy test machine."""
    assert cpu_seconds(FILES[name], LIMITS) < 10 * BUDGET_S


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(heif(*[box(b"free")] * 200_000), id="boxes"),
        pytest.param(heif(ispe(5, 5), links=struct.pack(">I", 2**32 - 1) + b"\0\7\0" * 300_000, primary=9), id="items"),
        pytest.param(gif((9, 9), (0, 0, 1, 1), 1, extensions=b"!\xfe" + b"\1a" * 500_000 + b"\0"), id="GIF blocks"),
        pytest.param(gif((9, 9), (0, 0, 1, 1), 1, extensions=b"\0" * 1_000_000), id="GIF filling"),
        pytest.param(ftyp(*[b"mif1"] * 60_000), id="brands"),
    ],
)
def test_reading_a_hostile_header_is_bounded(data):
    """A megabyte of parts costs what the first thousand cost: 2 ms at most, ten times that for a busy test machine."""
    assert cpu_seconds(data, LIMITS, repeats=3) < 20e-3
