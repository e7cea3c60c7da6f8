"""Every kind of pixel becomes opaque 8-bit RGB or grey. (Whole tensors of more kinds: test_golden.py.)"""

import numpy as np
import pytest
from PIL import Image

from tests.preprocess.pictures import (
    GREY,
    RGB,
    chunk,
    decoded,
    distance,
    encode,
    gif,
    photo,
    pixels,
    plain_picture,
    png,
    with_alpha,
)

SIXTEEN_BITS = Image.fromarray((np.arange(60 * 40) * 27).astype(np.uint16).reshape(40, 60))

PNGS = {
    "RGB": encode(photo(), "PNG"),
    "L": encode(photo(mode="L"), "PNG"),
    "1": encode(photo(mode="1"), "PNG"),
    "P": encode(photo(mode="P"), "PNG"),
    "P of 4 colours": encode(photo().quantize(4), "PNG"),
    "P with one clear colour": encode(photo(mode="P"), "PNG", transparency=5),
    "P with alpha": encode(photo(mode="P"), "PNG", transparency=bytes(range(256))),
    "LA": encode(with_alpha(photo(mode="L")), "PNG"),
    "RGBA": encode(with_alpha(photo()), "PNG"),
    "RGB with a clear colour": encode(Image.new("RGB", (60, 40), (9, 8, 7)), "PNG", transparency=(9, 8, 7)),
    "L with a clear value": encode(photo(mode="L"), "PNG", transparency=100),
    "1 with a clear value": encode(photo(mode="1"), "PNG", transparency=0),
    "I;16": encode(SIXTEEN_BITS, "PNG"),
    "interlaced": encode(photo(), "PNG", interlace=True),
}


@pytest.mark.parametrize("name", PNGS)
def test_png_of_every_mode(name):
    """Each PNG decodes to what the plain path makes of it, within 1 of 255."""
    picture = decoded(PNGS[name])

    assert picture.mode in ("RGB", "L")
    assert distance(picture.convert("RGB"), plain_picture(PNGS[name]))[1] <= 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_every_mode(mode, progressive):
    """Each JPEG decodes to exactly what the plain path makes of it."""
    data = encode(photo(mode=mode), progressive=progressive)

    assert distance(decoded(data).convert("RGB"), plain_picture(data)) == (0, 0)


def test_cmyk_looks_like_its_original():
    """CMYK, which JPEGs hold inverted, comes back as the picture it was made of."""
    data = encode(photo(mode="CMYK"))

    assert distance(decoded(data), photo())[0] < 2


def test_16_bit_grey_is_scaled_not_clipped():
    """The darkest and the lightest stay so, and what is between them stays between."""
    picture = decoded(PNGS["I;16"])

    assert distance(picture, np.asarray(SIXTEEN_BITS) / 257)[1] <= 1


def test_16_bit_colour():
    """16-bit colour keeps its order of channels and its range."""
    row = np.array([[0, 32768, 65535], [65535, 0, 1000]], dtype=">u2").tobytes()
    picture = decoded(png(2, 1, pixels([row]), depth=16))

    assert np.asarray(picture).tolist() == [[[0, 128, 255], [255, 0, 3]]]


@pytest.mark.parametrize(
    ("depth", "row", "clear", "expected"),
    [
        pytest.param(2, b"\x1b", 2, [0, 85, 255, 255], id="2 bits: 0 1 2 3"),
        pytest.param(4, b"\x0f\x7f", 7, [0, 255, 255, 255], id="4 bits: 0 15 7 15"),
        pytest.param(16, b"\x00\x00\x80\x05", 0x8005, [0, 255], id="16 bits"),
        pytest.param(16, b"\x00\x00\x00\x05", 0x0005, [0, 255], id="16 bits, told apart by the last"),
    ],
)
def test_clear_value_of_another_depth(depth, row, clear, expected):
    """A grey value that stands for "transparent" is found at every depth, and shows white."""
    clear_chunk = chunk(b"tRNS", clear.to_bytes(2, "big"))
    data = png(len(expected), 1, clear_chunk, pixels([row]), depth=depth, colour=GREY)

    assert [expected] == np.asarray(decoded(data)).tolist()


def test_clear_colour_of_16_bits():
    """A colour that stands for "transparent" in a 16-bit picture shows white; others don't."""
    row = np.array([[4660, 22136, 39612], [4660, 22136, 0]], dtype=">u2").tobytes()
    clear = chunk(b"tRNS", np.array([4660, 22136, 39612], dtype=">u2").tobytes())
    picture = decoded(png(2, 1, clear, pixels([row]), depth=16, colour=RGB))

    assert np.asarray(picture).tolist() == [[[255, 255, 255], [18, 86, 0]]]


@pytest.mark.parametrize("name", ["RGBA", "LA", "RGB", "L"])
def test_shrinking_before_compositing_looks_the_same(name):
    """Averaging a transparent picture before it is laid on white gives what the other order gives."""
    mode = {"RGBA": "RGB", "LA": "L"}.get(name, name)
    picture = photo(800, 600, mode)
    data = encode(with_alpha(picture) if "A" in name else picture, "PNG")

    small = decoded(data, (100, 75))

    assert small.size == (200, 150)
    assert distance(small.convert("RGB"), plain_picture(data).reduce(4))[1] <= 3


def test_first_picture_of_an_animation():
    """Of an animated PNG the first picture counts."""
    others = [Image.new("RGB", (120, 80), colour) for colour in ("red", "blue")]
    data = encode(photo(), "PNG", save_all=True, append_images=others)

    assert distance(decoded(data), photo()) == (0, 0)


def test_first_picture_of_a_multi_picture_jpeg():
    """Phones append a second picture to a JPEG: the first one counts."""
    data = encode(photo(), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")])

    assert decoded(data).size == (120, 80)


@pytest.mark.parametrize(
    ("canvas", "frame"),
    [((9, 7), (0, 0, 9, 7)), ((9, 7), (2, 3, 4, 2)), ((2, 2), (1, 1, 5, 6)), ((0, 0), (0, 0, 3, 3))],
)
@pytest.mark.parametrize("clear", [False, True])
def test_the_canvas_of_a_gif_is_white(canvas, frame, clear):
    """Around a picture that is smaller than its canvas there is nothing, which shows white, and so does a colour
    that stands for "transparent"."""
    left, top, width, height = frame
    control = b"!\xf9\x04\x01\0\0\x01\0" if clear else b""  # the second colour, red, is the clear one
    expected = np.full((max(canvas[1], top + height), max(canvas[0], left + width), 3), 255)
    if not clear:
        expected[top : top + height, left : left + width] = [255, 0, 0]

    picture = decoded(gif(canvas, frame, 1, extensions=control))

    assert distance(picture, expected) == (0, 0)


@pytest.mark.parametrize("format", ["WEBP", "AVIF"])
def test_first_picture_of_other_animations(format):
    """Of an animation the first picture counts, whatever follows."""
    others = [Image.new("RGB", (120, 80), colour) for colour in ("red", "blue")]
    data = encode(photo(), format, save_all=True, append_images=others, quality=95)

    assert distance(decoded(data), photo())[0] < 2


def test_a_webp_picture_smaller_than_its_canvas():
    """What an animation's first picture leaves free is white."""
    frames = [Image.new("RGBA", (40, 30), (0, 0, 0, 0)) for _ in range(2)]
    frames[0].paste((0, 0, 255, 255), (10, 10, 20, 20))
    frames[1].paste((255, 0, 0, 255), (0, 0, 5, 5))
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    expected = np.full((30, 40, 3), 255)
    expected[10:20, 10:20] = [0, 0, 255]

    assert distance(decoded(data), expected) == (0, 0)


def test_heic_shows_its_primary_picture():
    """Of several pictures in one file, the one that the file puts first counts."""
    red = Image.new("RGB", (64, 48), "red")
    data = encode(red, "HEIF", save_all=True, append_images=[photo()], primary_index=1)

    assert distance(decoded(data), photo())[0] < 3
