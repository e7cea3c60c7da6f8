"""What an image is, from its first bytes."""

import io
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from preprocess import (
    CorruptImage,
    EmptyImage,
    Header,
    Limits,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    read_header,
)
from tests.preprocess.pictures import chunk, encode, photo, png, segment

LIMITS = Limits()
JPEG = encode(photo(40, 30))
PNG = encode(photo(40, 30), "PNG")


def frame(width, height, marker=0xC0, components=3):
    """A JPEG frame header."""
    content = struct.pack(">BHHB", 8, height, width, components) + b"\1\x11\0" * components
    return segment(marker, content)


def jpeg(*parts, scan=True):
    """The start of a JPEG file of these segments, up to and with the first scan's header."""
    return b"\xff\xd8" + b"".join(parts) + (segment(0xDA, b"\3\1\0\2\0\3\0\0\x3f\0") if scan else b"")


@pytest.mark.parametrize(("data", "format"), [(JPEG, "jpeg"), (PNG, "png")])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_reads_format_and_size(data, format, kind):
    """Format and size are read from any buffer of bytes."""
    assert Header(format, 40, 30) == read_header(kind(data), LIMITS)


def test_pixels_is_the_area():
    """The figure that costs are estimated from."""
    assert read_header(JPEG, LIMITS).pixels == 1200


@pytest.mark.parametrize("options", [{"exif": b"Exif\0\0" + b"x" * 40_000}, {"comment": b"hi"}])
def test_reads_jpegs_as_encoders_write_them(options):
    """EXIF blocks and comments don't hide the size."""
    assert Header("jpeg", 40, 30) == read_header(encode(photo(40, 30), **options), LIMITS)


def test_a_progressive_jpeg_is_told():
    """It takes several times as long to decode."""
    assert Header("jpeg", 40, 30, progressive=True) == read_header(encode(photo(40, 30), progressive=True), LIMITS)


def test_reads_past_a_thumbnail_in_the_metadata():
    """The size is that of the picture, not of the little one inside an APP segment."""
    data = jpeg(segment(0xE1, b"Exif\0\0" + encode(photo(16, 9))), frame(400, 300))

    assert Header("jpeg", 400, 300) == read_header(data, LIMITS)


@pytest.mark.parametrize("filling", [b"\xff", b"\xff" * 50, b"\0" * 3000, b"\xff\x01", b"\xff\xd0", b"\xff\0"])
def test_skips_what_decoders_skip(filling):
    """Filling and markers without a length between two segments are stepped over."""
    data = jpeg(segment(0xE0, b"JFIF\0"), filling, frame(400, 300))

    assert Header("jpeg", 400, 300) == read_header(data, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg(), id="scan without a frame"),
        pytest.param(jpeg(b"\xff\xd9", frame(4, 4)), id="end before the frame"),
        pytest.param(jpeg(frame(4, 4), frame(60_000, 60_000)), id="two frames"),
        pytest.param(jpeg(b"\xff\xe0\0\1", frame(4, 4)), id="segment shorter than its length"),
        pytest.param(jpeg(frame(0, 4)), id="JPEG without width"),
        pytest.param(jpeg(frame(4, 0)), id="JPEG without height"),
        pytest.param(jpeg(segment(0xFE, b"") * 2000, frame(4, 4)), id="too many segments"),
        pytest.param(jpeg(b"\xff" * 2000, frame(4, 4)), id="too much filling"),
        pytest.param(jpeg(segment(0xFE, b""), b"\0" * 2_000_000, frame(4, 4)), id="too much between segments"),
        pytest.param(png(0, 5, chunk(b"IDAT", b"")), id="PNG without width"),
        pytest.param(png(5, 0), id="PNG without height"),
        pytest.param(PNG[:8] + chunk(b"IDAT", b"1234") + PNG[8:], id="PNG not starting with its header"),
        pytest.param(png(4, 4, chunk(b"IHDR", PNG[16:29]), chunk(b"IDAT", b"")), id="two PNG headers"),
        pytest.param(png(4, 4, *[chunk(b"tEXt", b"")] * 2000, chunk(b"IDAT", b"")), id="too many chunks"),
    ],
)
def test_refuses_what_contradicts_its_format(data):
    """A header that is wrong, or that would keep us busy, is refused before any decoder sees it."""
    with pytest.raises(CorruptImage):
        read_header(data, LIMITS)


@pytest.mark.parametrize("data", [JPEG[: JPEG.index(b"\xff\xda") + 3], PNG[: PNG.index(b"IDAT") + 20]])
def test_a_cut_header_is_truncated(data):
    """Wherever the file is cut before its picture data, it is called truncated."""
    for end in range(1, len(data)):
        with pytest.raises(TruncatedImage):
            read_header(data[:end], LIMITS)


def test_nothing_is_an_empty_image():
    """Zero bytes have a name of their own: the client most often forgot the file."""
    with pytest.raises(EmptyImage):
        read_header(b"", LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\0" * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"<html><svg></svg>",
        b"<?xml version='1.0'?><note/>",
        b"<svgnot>",
        b"<!--" * 2000,
        b"P6 is a computer",
        b"\x1f\x8b rubbish",
        b"BLP2" + b"\0" * 99,
        b"BMI is a measure of people",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypisom\0\0\2\0isommp42",
    ],
)
def test_other_content_is_not_an_image(data):
    """What starts like no format we know is not an image, whatever it is called."""
    with pytest.raises(NotAnImage):
        read_header(data, LIMITS)


def bomb(side):
    """A small PNG file of many pixels, all the same."""
    data = zlib.compress(b"\0" * (1 + side // 8) * side)
    return png(side, side, chunk(b"IDAT", data), depth=1, colour=0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bomb(13_000), id="169 megapixels in 20 kB"),
        pytest.param(png(60_000, 1), id="PNG 60000x1, the header only"),
        pytest.param(png(1, 60_000, chunk(b"IDAT", b"")), id="PNG 1x60000"),
        pytest.param(png(0xFFFFFFFF, 0xFFFFFFFF, chunk(b"IDAT", b"")), id="largest PNG"),
        pytest.param(jpeg(frame(65_535, 65_535)), id="largest JPEG"),
        pytest.param(jpeg(frame(60_000, 1)), id="JPEG 60000x1"),
    ],
)
def test_pixel_bombs_are_refused_by_the_header(data):
    """Too many pixels, or too many on one side, are refused without a decoder."""
    with pytest.raises(TooManyPixels):
        read_header(data, LIMITS)


def test_the_pixel_limit_is_inclusive():
    """As many pixels as the limit says pass; one less in the limit refuses them, and the sentence says it."""
    assert read_header(PNG, Limits(max_pixels=1200))

    with pytest.raises(TooManyPixels, match="1199"):
        read_header(PNG, Limits(max_pixels=1199))


def test_importing_the_package_loads_neither_numpy_nor_pillow():
    """The process that reads headers stays small."""
    code = "import sys, preprocess; sys.exit(bool({'numpy', 'PIL'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


def test_agrees_with_pillow():
    """On sizes of every parity our reading is Pillow's."""
    for size in [(1, 1), (1, 7), (255, 256), (257, 3)]:
        for format in ("JPEG", "PNG"):
            data = encode(photo(*size), format)
            header = read_header(data, LIMITS)

            assert Image.open(io.BytesIO(data)).size == (header.width, header.height)
