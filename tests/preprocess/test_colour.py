"""Embedded profiles: colours come out in sRGB, and nothing a profile may be makes a picture fail."""

import itertools
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from preprocess import Recipe
from preprocess.colour import MAX_PROFILE, to_srgb
from tests.preprocess.pictures import (
    SRGB,
    decoded,
    distance,
    encode,
    from_p3,
    photo,
    profile,
    with_alpha,
)

OWN_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def lab_of(inks):
    """A made-up press: what Lab (D50) its inks give, each 0 or 1, in cyan, magenta, yellow and black."""
    cyan, magenta, yellow, black = inks
    light = (100 - 25 * cyan - 30 * magenta - 8 * yellow) * (1 - 0.9 * black)
    fade = 1 - black
    return light, (20 * magenta - 15 * cyan) * fade, (30 * yellow - 20 * cyan) * fade


def press():
    """The ICC profile of that press: a table of its 16 corners."""
    grid = [lab_of(inks) for inks in itertools.product((0, 1), repeat=4)]
    samples = bytes(round(part) for light, a, b in grid for part in (light * 2.55, a + 128, b + 128))
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    ramp = bytes(range(256))
    table = b"mft1" + bytes([0, 0, 0, 0, 4, 3, 2, 0]) + identity + ramp * 4 + samples + ramp * 3
    words = b"desc" + struct.pack(">4xI", 1) + b"\0" * 79
    return profile(space=b"CMYK", tags={b"desc": words, b"A2B0": table})


def rgb_of(lab):
    """sRGB, 0 to 255, of a colour in Lab: the formulas of CIE and of IEC 61966-2-1."""
    light, a, b = lab
    y = (light + 16) / 116
    cubes = np.array([y + a / 500, y, y - b / 200])
    white = np.array([0.9642, 1.0, 0.8249])
    xyz = white * np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    linear = (xyz @ np.linalg.inv(np.array(SRGB))).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_display_p3_is_what_the_formulas_say():
    """Photos of phones: within a level of the formulas, and 20 levels from taking the numbers as they are."""
    converted = to_srgb(photo(), profile())

    assert distance(converted, from_p3(np.asarray(photo(), dtype=np.float64)))[1] <= 1
    assert distance(converted, photo())[1] > 20


def test_grey_is_what_the_formulas_say():
    """A linear grey profile: within a level."""
    grey = photo(mode="L")
    linear = np.asarray(grey) / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)

    converted = to_srgb(grey, profile(space=b"GRAY", gamma=1.0))

    assert distance(converted, np.stack([expected] * 3, axis=-1))[1] <= 1


@pytest.mark.parametrize("inks", list(itertools.product((0, 1), repeat=4)))
def test_print_is_what_the_formulas_say(inks):
    """Each corner of a press's table comes out of a CMYK JPEG as the colour that the table says, within 3 levels."""
    solid = Image.new("CMYK", (16, 16), tuple(255 * ink for ink in inks))

    picture = decoded(encode(solid, icc_profile=press()))

    assert picture.mode == "RGB"
    assert distance(np.asarray(picture)[8, 8], rgb_of(lab_of(inks)))[1] <= 3


def test_alpha_is_left_alone():
    """Colours are converted, transparency is not."""
    clear = with_alpha(photo())

    converted = to_srgb(clear, profile())

    assert converted.mode == "RGBA"
    assert distance(converted.getchannel("A"), clear.getchannel("A")) == (0, 0)
    assert distance(converted.convert("RGB"), to_srgb(photo(), profile())) == (0, 0)


def test_srgb_is_recognised():
    """What changes no colour is skipped, by whatever name: the very picture comes back."""
    picture = photo()

    assert to_srgb(picture, OWN_SRGB) is picture
    assert to_srgb(picture, OWN_SRGB + b"\0" * 4) is picture  # a copy of other bytes, as encoders write them


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0" * 100, id="shorter than its header"),
        pytest.param(profile()[:200], id="cut"),
        pytest.param(profile()[:128] + b"\xff" * 300, id="rubbish behind the header"),
        pytest.param(profile()[:36] + b"ABCD" + profile()[40:], id="without its mark"),
        pytest.param(profile(tags={}), id="without tags"),
        pytest.param(profile(space=b"CMYK"), id="of other pixels"),
        pytest.param(profile(space=b"GRAY"), id="of grey pixels"),
        pytest.param(profile()[:12] + b"link" + profile()[16:], id="of no device"),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_broken_profile_is_ignored(broken, format):
    """The picture is then taken for sRGB."""
    options = {"lossless": True} if format == "WEBP" else {}

    with_profile = decoded(encode(photo(), format, icc_profile=broken, **options))

    assert distance(with_profile, decoded(encode(photo(), format, **options))) == (0, 0)


def test_a_profile_may_be_too_large():
    """It is then ignored, also where a PNG holds it compressed."""
    large = profile() + b"\0" * MAX_PROFILE

    for format in ("JPEG", "PNG"):
        assert distance(decoded(encode(photo(), format, icc_profile=large)), decoded(encode(photo(), format))) == (0, 0)


def test_random_damage_to_a_profile_fails_no_picture():
    """Whatever the library makes of it, there is a picture."""
    random, good = np.random.default_rng(11), profile()
    for _ in range(300):
        damaged = bytearray(good)
        for at in random.integers(len(good), size=random.integers(1, 12)):
            damaged[at] = random.integers(256)

        assert to_srgb(photo(8, 8), bytes(damaged)).size == (8, 8)


def test_a_grey_recipe_takes_the_converted_colours():
    """Luma is that of sRGB."""
    from tests.preprocess.test_tensor import prepared

    recipe = Recipe(width=120, height=80, colour="grey", dtype="uint8")
    luma = from_p3(np.asarray(photo(), dtype=np.float64)) @ [0.299, 0.587, 0.114]

    assert distance(prepared(encode(photo(), "PNG", icc_profile=profile()), recipe)[0], luma)[1] <= 1.5
