"""Bytes to pixels: damage is always an error, and large pictures are decoded small."""

import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from preprocess import CorruptImage, ImageError, Limits, TooManyPixels, TruncatedImage
from preprocess.decode import decode
from tests.preprocess.mutations import good_files
from tests.preprocess.pictures import (
    GREY,
    chunk,
    decoded,
    distance,
    encode,
    photo,
    pixels,
    plain_picture,
    png,
)


def noise(width, height):
    """A picture that compresses badly, so that its file is long for its size."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


WHOLE = good_files() | {
    "JPEG CMYK of several reads": encode(noise(200, 200).convert("CMYK"), restart_marker_blocks=4),
    "JPEG of several reads": encode(noise(250, 200)),
    "PNG": encode(photo(), "PNG"),
    "PNG of several reads": encode(noise(250, 200), "PNG"),
    "GIF of several reads": encode(noise(300, 300).quantize(256), "GIF"),
    "WebP of several reads": encode(noise(250, 200), "WEBP"),
    "BMP of several reads": encode(noise(250, 200), "BMP"),
    "AVIF of several reads": encode(noise(250, 200), "AVIF", speed=10),
    "HEIC of several reads": encode(noise(250, 200), "HEIF"),
}


@pytest.mark.parametrize("target", [None, (20, 20)])
@pytest.mark.parametrize("name", [name for name in WHOLE if name != "MPO"])
def test_a_truncated_file_is_never_an_answer(name, target):
    """Cut anywhere, from 1 % to the last byte, a file is truncated: no half-grey picture is let through."""
    data = WHOLE[name]
    cuts = {len(data) * percent // 100 for percent in range(1, 100)} | {len(data) - back for back in range(1, 14)}

    assert decoded(data, target)
    for cut in cuts:
        with pytest.raises(TruncatedImage):
            decoded(data[:cut], target)


@pytest.mark.parametrize("target", [None, (20, 20)])
def test_a_truncated_multi_picture_file_is_its_first_picture_or_an_error(target):
    """Of an MPO the first picture counts: as long as that is whole, nothing is missing."""
    data = WHOLE["MPO"]
    first = data.index(b"\xff\xd9\xff\xd8") + 2

    for percent in range(1, 100):
        cut = len(data) * percent // 100
        if cut < first:
            with pytest.raises(TruncatedImage):
                decoded(data[:cut], target)
        else:
            assert distance(decoded(data[:cut], target), decoded(data, target)) == (0, 0)


@pytest.mark.parametrize("tail", [b"\0" * 500, b"\xff" * 500, bytes(range(1, 200))])
@pytest.mark.parametrize("name", [name for name in WHOLE if name.startswith(("JPEG", "PNG", "APNG", "GIF"))])
def test_padding_does_not_mend_a_truncated_file(name, tail):
    """A file cut short and filled up, as a broken upload leaves it, is still an error. (In a BMP or WebP nothing
    tells the filling from a picture, as long as it is long enough.)"""
    data = WHOLE[name]

    with pytest.raises(ImageError):
        decoded(data[: len(data) // 2] + tail)


@pytest.mark.parametrize("name", WHOLE)
def test_what_follows_the_picture_is_ignored(name):
    """Phones append videos and second pictures, and servers a line break."""
    data = WHOLE[name]

    assert distance(decoded(data + b"\n" + b"\xff\xda" * 50), decoded(data)) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE["PNG"].replace(b"IDAT", b"IDAX"), id="PNG without picture data"),
        pytest.param(png(4, 4, pixels([b"\0" * 12] * 4), colour=5), id="PNG of no colour type"),
        pytest.param(png(4, 4, pixels([b"\0" * 4] * 4), colour=GREY, depth=3), id="PNG of no depth"),
        pytest.param(png(4, 4, chunk(b"IDAT", b"this is no zlib stream")), id="PNG of rubbish"),
        pytest.param(WHOLE["PNG"][:29] + b"\0\0\0\0" + WHOLE["PNG"][33:], id="PNG with a wrong checksum"),
        pytest.param(WHOLE["JPEG"].replace(b"\xff\xc4", b"\xff\xc5", 1), id="JPEG with two frames"),
        pytest.param(WHOLE["JPEG"].replace(b"\xff\xdb", b"\xff\xfe"), id="JPEG without quantization"),
    ],
)
def test_damage_is_an_error_of_the_image(data):
    """Whatever the decoder raises for a bad file, the caller sees one error."""
    with pytest.raises(CorruptImage):
        decoded(data)


def test_a_png_whose_data_stop_is_truncated():
    """The file has its end, but one of its chunks of pixels is missing."""
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in np.asarray(noise(8, 8))))

    with pytest.raises(TruncatedImage):
        decoded(png(8, 8, chunk(b"IDAT", data[:50])))


def test_random_damage_is_an_error_of_the_image_or_an_image():
    """No damage gets anything but an ImageError out."""
    random = np.random.default_rng(5)
    for data in (WHOLE["JPEG"], WHOLE["PNG palette"]):
        for _ in range(150):
            damaged = bytearray(data)
            for at in random.integers(len(data), size=random.integers(1, 20)):
                damaged[at] = random.integers(256)
            try:
                decoded(damaged, (20, 20))
            except ImageError:
                continue


def test_limits_come_first():
    """A picture over the limit is refused before a decoder is made."""
    with pytest.raises(TooManyPixels):
        decode(WHOLE["PNG"], None, Limits(max_pixels=100))


def test_many_passes_are_refused():
    """A progressive JPEG that repeats its last scan costs a pass over the picture each time."""
    data = WHOLE["JPEG progressive"]
    scan = data[data.rindex(b"\xff\xda") : -2]

    assert decoded(data[:-2] + scan * 20 + data[-2:])
    with pytest.raises(CorruptImage):
        decoded(data[:-2] + scan * 100 + data[-2:])


def test_many_chunks_are_refused():
    """A PNG of a hundred thousand chunks behind its pixels would keep a worker busy."""
    data = WHOLE["PNG"]

    with pytest.raises(CorruptImage):
        decoded(data[:-12] + chunk(b"teSt", b"") * 100_000 + data[-12:])


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((800, 600), (100, 75), (100, 75)),
        ((800, 600), (101, 75), (200, 150)),
        ((799, 599), (100, 75), (200, 150)),
        ((800, 600), (100, 100), (200, 150)),
        ((800, 600), (500, 400), (800, 600)),
        ((80, 60), (100, 100), (80, 60)),
        ((1600, 1600), (20, 20), (40, 40)),
    ],
)
def test_a_large_jpeg_is_decoded_small(size, target, expected):
    """By 2, 4 or 8, and further by averaging, but neither side below the target."""
    assert expected == decoded(encode(photo(*size)), target).size


def test_a_jpeg_decoded_small_looks_the_same():
    """The scaled decode differs little from a full one that is averaged."""
    data = encode(photo(800, 600))

    mean, largest = distance(decoded(data, (100, 75)), plain_picture(data).reduce(8))

    assert mean < 0.5
    assert largest <= 4


def test_pillow_is_told_to_refuse_half_pictures():
    """The switch that lets truncated files pass is the process's: nothing here may set it."""
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
