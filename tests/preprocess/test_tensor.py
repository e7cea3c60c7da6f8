"""Pixels into the slot: held against the textbook way, which knows no shortcut."""

import numpy as np
import pytest
from PIL import Image

from preprocess import IMAGENET_MEAN, IMAGENET_STD, ImageError, Limits, Recipe
from preprocess.decode import Picture
from preprocess.tensor import prepare, write
from tests.preprocess.pictures import distance, encode, photo, plain_tensor, turned

LIMITS = Limits()
IMAGENET = {"scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
LEVEL = 1 / 255 / 0.225  # one of 255 levels of brightness after that normalisation, about


def prepared(data, recipe):
    """What `prepare` writes into the middle of a batch, whose other slots must stay as they are."""
    batch = np.full((3, *recipe.shape), 77, recipe.dtype)
    prepare(data, recipe, batch[1], LIMITS)

    assert (batch[[0, 2]] == 77).all()
    return batch[1]


@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
@pytest.mark.parametrize("size", [(120, 80), (80, 120), (50, 50), (7, 300), (37, 41)])
@pytest.mark.parametrize("target", [(64, 64), (48, 96), (96, 48)])
def test_fits(fit, size, target):
    """Every fit agrees with the plain path within 2 levels, for wide, tall and square pictures."""
    recipe = Recipe(width=target[0], height=target[1], fit=fit, pad=(10, 120, 230), **IMAGENET)
    data = encode(photo(*size), "PNG")

    mean, largest = distance(prepared(data, recipe), plain_tensor(data, recipe))

    assert mean < 0.5 * LEVEL
    assert largest < 3 * LEVEL


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_resampling_layout_and_colour(resample, layout, colour):
    """Filters, layouts and orders of channels agree with the plain path within 1 level."""
    recipe = Recipe(width=48, height=32, resample=resample, layout=layout, colour=colour, **IMAGENET)
    data = encode(photo(), "PNG")

    assert distance(prepared(data, recipe), plain_tensor(data, recipe))[1] <= 1.1 * LEVEL


@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1600, 1200), (1300, 700), (640, 480)])
def test_large_pictures(fit, format, size):
    """Decoding small on the way costs no more than a level on average."""
    recipe = Recipe(width=64, height=64, fit=fit, **IMAGENET)
    data = encode(photo(*size), format)

    mean, largest = distance(prepared(data, recipe), plain_tensor(data, recipe))

    assert mean < LEVEL
    assert largest < 5 * LEVEL


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation):
    """A photo stored in any of eight ways fills the slot like the upright one, within 2 levels on average."""
    recipe = Recipe(width=64, height=48, **IMAGENET)
    stored, exif = turned(photo(1600, 1200), orientation)

    upright = plain_tensor(encode(photo(1600, 1200), "PNG"), recipe)

    assert distance(prepared(encode(stored, exif=exif), recipe), upright)[0] < LEVEL


def test_nearest_takes_pixels_of_the_original():
    """The nearest neighbour of a large JPEG is one of its own pixels, not an average."""
    recipe = Recipe(width=40, height=30, fit="stretch", resample="nearest", dtype="uint8")
    data = encode(photo(1600, 1200))

    assert distance(prepared(data, recipe), plain_tensor(data, recipe)) == (0, 0)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("fit", ["stretch", "contain"])
def test_types(layout, fit):
    """Bytes are exact, half floats as near as they can be."""
    data = encode(photo(), "PNG")
    size = {"width": 40, "height": 40, "layout": layout, "fit": fit}
    whole = prepared(data, Recipe(**size, dtype="uint8"))
    full, half = (prepared(data, Recipe(**size, dtype=dtype, **IMAGENET)) for dtype in ("float32", "float16"))

    assert distance(whole, prepared(data, Recipe(**size))) == (0, 0)
    np.testing.assert_allclose(half, full, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_grey_recipe(mode):
    """A grey recipe takes the luma of colour, and grey as it is."""
    recipe = Recipe(width=120, height=80, colour="grey", scale=1 / 255)
    picture = photo(mode=mode)

    tensor = prepared(encode(picture, "PNG"), recipe)

    assert tensor.shape == (1, 80, 120)
    np.testing.assert_allclose(tensor[0], np.asarray(picture.convert("L")) / 255, atol=1e-6)


def test_grey_picture_for_a_colour_model():
    """A grey picture fills the three channels alike, each with its own normalisation."""
    recipe = Recipe(width=32, height=32, **IMAGENET)
    data = encode(photo(mode="L"), "PNG")

    assert distance(prepared(data, recipe), plain_tensor(data, recipe))[1] <= 1.1 * LEVEL


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (32_768, 1)])
@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
def test_extreme_proportions(size, fit):
    """Lines and points fit too."""
    recipe = Recipe(width=33, height=21, fit=fit, dtype="uint8")
    data = encode(Image.new("RGB", size, (200, 200, 200)), "PNG")

    assert {200} <= set(np.unique(prepared(data, recipe))) <= {0, 200}


@pytest.mark.parametrize("colour", ["RGB", "BGR", "grey"])
def test_padding_is_normalised_too(colour):
    """The pad colour goes through the same steps as the picture."""
    recipe = Recipe(width=40, height=20, fit="contain", pad=(200, 100, 50), colour=colour, mean=(100.0,))
    expected = {"RGB": [100, 0, -50], "BGR": [-50, 0, 100], "grey": [24]}[colour]

    tensor = prepared(encode(photo(20, 20), "PNG"), recipe)

    np.testing.assert_allclose(tensor[:, 0, 0], expected, atol=0.6)
    np.testing.assert_allclose(tensor[:, -1, -1], expected, atol=0.6)


@pytest.mark.parametrize("fit", ["stretch", "contain"])
@pytest.mark.parametrize("colour", ["RGB", "BGR", "grey"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_bytes_side_by_side_are_the_bytes_of_planes(fit, colour, mode):
    """The layout says where values stand, not what they are, padding included."""
    how = {"width": 40, "height": 20, "fit": fit, "pad": (200, 100, 50), "colour": colour, "dtype": "uint8"}
    data = encode(photo(30, 30).convert(mode), "PNG")

    planes, beside = (prepared(data, Recipe(**how, layout=layout)) for layout in ("NCHW", "NHWC"))

    np.testing.assert_array_equal(np.moveaxis(planes, 0, -1), beside)


def test_a_bad_image_leaves_the_slot_alone():
    """What fails to decode has written nothing."""
    recipe = Recipe(width=8, height=8)
    slot = np.full(recipe.shape, 5, np.float32)

    with pytest.raises(ImageError):
        prepare(encode(photo())[:-50], recipe, slot, LIMITS)
    assert (slot == 5).all()


@pytest.mark.parametrize(("shape", "dtype"), [((3, 8, 9), "float32"), ((3, 8, 8), "float64"), ((8, 8, 3), "float32")])
def test_another_slot_is_a_mistake(shape, dtype):
    """A slot of another shape or type is refused, not filled in part."""
    with pytest.raises(ValueError, match="slot must be float32"):
        write(Picture(photo(), (120, 80), None), Recipe(width=8, height=8), np.zeros(shape, dtype))
