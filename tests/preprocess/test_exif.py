"""Photos come upright, whatever their EXIF block says or fails to say."""

import struct

import numpy as np
import pytest

from preprocess.exif import orientation
from tests.preprocess.pictures import chunk, decoded, distance, encode, photo, turned


def block(order, entries, start=8):
    """An EXIF block of (tag, type, value) in byte order "<" or ">"."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(order + "HHIHH", tag, kind, 1, value, 0) for tag, kind, value in entries)
    return b"Exif\0\0" + mark + struct.pack(order + "IH", start, len(entries)) + body


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_every_orientation_is_applied(value, format):
    """All eight ways to store a photo give the same upright picture (JPEG: within its own noise)."""
    stored, exif = turned(photo(), value)
    picture = decoded(encode(stored, format, exif=exif))

    assert picture.size == (120, 80)
    assert distance(picture, photo())[0] <= (1 if format == "JPEG" else 0)


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
def test_broken_blocks_fail_no_photo():
    """Random damage to the block of a real file leaves a photo that decodes."""
    _, exif = turned(photo(), 6)
    data = encode(photo(40, 30), exif=exif)
    start = data.index(b"Exif\0\0") + 6
    random = np.random.default_rng(7)

    for _ in range(200):
        damaged = bytearray(data)
        for at in random.integers(start, start + len(exif) - 6, size=4):
            damaged[at] = random.integers(256)

        assert decoded(damaged).size in ((40, 30), (30, 40))
