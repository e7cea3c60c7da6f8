"""Photos come upright, whatever their EXIF block says or fails to say."""

import struct

import numpy as np
import pytest
from PIL import Image

from preprocess.exif import orientation
from tests.preprocess.pictures import chunk, decoded, distance, encode, photo, turned


def block(order, entries, start=8):
    """An EXIF block of (tag, type, value) in byte order "<" or ">"."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(order + "HHIHH", tag, kind, 1, value, 0) for tag, kind, value in entries)
    return b"Exif\0\0" + mark + struct.pack(order + "IH", start, len(entries)) + body


def with_words(orientation):
    """An EXIF block that no encoder leaves out for saying nothing."""
    exif = Image.Exif()
    exif[0x010E] = "a photo"
    if orientation:
        exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_every_orientation_is_applied(value, format):
    """All eight ways to store a photo give the same upright picture, once; AVIF and HEIC say it in a way of
    their own, which their encoders derive from the EXIF block here."""
    stored, exif = turned(photo(), value)
    picture = decoded(encode(stored, format, exif=exif))

    assert picture.size == (120, 80)
    assert distance(picture, photo())[0] <= (0 if format == "PNG" else 2)


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_where_the_format_turns_exif_does_not(format):
    """An AVIF or HEIC has a turn of its own, and its standard says that the EXIF block is only for information."""
    upright = encode(photo(), format, exif=with_words(None).tobytes())
    words = struct.pack(">HHII", 0x010E, 2, 8, 26)  # tag, type, length and place of the words
    turned_by_exif = upright.replace(words, struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0))

    assert turned_by_exif != upright
    assert decoded(turned_by_exif).size == (120, 80)
    assert decoded(encode(photo(), format, exif=with_words(6).tobytes())).size == (80, 120)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_scaled_decoding_measures_the_upright_sides(value, format):
    """A photo on its side is scaled by its upright sides, so that none falls below the target."""
    stored, exif = turned(photo(1200, 800), value)
    picture = decoded(encode(stored, format, exif=exif), (300, 100))

    assert picture.size == (600, 400) if format == "PNG" else picture.size == (300, 200)


def test_block_behind_the_picture():
    """A PNG may hold its EXIF block after the pixels."""
    stored, exif = turned(photo(), 6)
    data = encode(stored, "PNG")
    data = data[:-12] + chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + data[-12:]

    assert distance(decoded(data), photo()) == (0, 0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_both_byte_orders(order):
    """Both byte orders, the tag anywhere in the list, with and without the leading mark."""
    data = block(order, [(0x010F, 2, 0), (0x0112, 3, 6), (0x0131, 2, 0)])

    assert 6 == orientation(data) == orientation(data.removeprefix(b"Exif\0\0"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Exif\0\0", id="mark only"),
        pytest.param(b"Exif\0\0II*\0", id="no list"),
        pytest.param(b"Exif\0\0XX*\0" + b"\0" * 50, id="no byte order"),
        pytest.param(block("<", [(0x0112, 3, 6)], start=0xFFFFFFF0), id="list outside"),
        pytest.param(block("<", [(0x0112, 3, 6)])[:-5], id="list cut"),
        pytest.param(block("<", [(0x0112, 3, 0)]), id="orientation 0"),
        pytest.param(block("<", [(0x0112, 3, 9)]), id="orientation 9"),
        pytest.param(block("<", [(0x0112, 2, 6)]), id="orientation as text"),
        pytest.param(block("<", [(0x0100, 3, 6)]), id="other tags only"),
        pytest.param(block("<", [(0x0100, 3, 6)] * 600 + [(0x0112, 3, 6)]), id="endless list"),
    ],
)
def test_a_broken_block_means_upright(data):
    """What can't be read turns nothing, and fails nothing."""
    assert orientation(data) == 1


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "HEIF"])
def test_broken_blocks_fail_no_photo(format):
    """Random damage to the block of a real file leaves a photo that decodes."""
    exif = with_words(6).tobytes()
    data = encode(photo(40, 30), format, exif=exif)
    start = data.index(b"a photo") - exif.index(b"a photo") + 6
    random = np.random.default_rng(7)

    for _ in range(200):
        damaged = bytearray(data)
        for at in random.integers(start, start + len(exif) - 6, size=4):
            damaged[at] = random.integers(256)

        assert decoded(damaged).size in ((40, 30), (30, 40))
