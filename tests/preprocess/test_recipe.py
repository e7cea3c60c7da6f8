"""What a model wants of an image."""

import math

import pytest

from preprocess import IMAGENET_MEAN, IMAGENET_STD, Recipe


@pytest.mark.parametrize(
    ("layout", "colour", "shape"),
    [
        ("NCHW", "RGB", (3, 2, 5)),
        ("NHWC", "BGR", (2, 5, 3)),
        ("NCHW", "grey", (1, 2, 5)),
        ("NHWC", "grey", (2, 5, 1)),
    ],
)
def test_shape_is_that_of_one_item(layout, colour, shape):
    """The shape follows layout and colour and leaves out the batch."""
    assert shape == Recipe(width=5, height=2, layout=layout, colour=colour).shape


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("width", 0, "from 1 to 16384"),
        ("height", 16_385, "from 1 to 16384"),
        ("fit", "zoom", "one of stretch, cover, contain"),
        ("pad", (0, 0), "3 values from 0 to 255"),
        ("pad", (0, 0, 256), "3 values from 0 to 255"),
        ("resample", "box", "one of nearest"),
        ("layout", "CHW", "one of NCHW, NHWC"),
        ("dtype", "int8", "one of float32"),
        ("colour", "YUV", "one of RGB"),
        ("scale", 0.0, "finite and > 0"),
        ("scale", math.inf, "finite and > 0"),
        ("mean", (0.5, 0.5), "3 finite values"),
        ("mean", (math.nan,), "3 finite values"),
        ("std", (), "3 finite values"),
        ("std", (1.0, 1.0, 0.0), "> 0"),
    ],
)
def test_a_bad_field_is_named(field, value, rule):
    """The message says which field, which value, and what it must be."""
    with pytest.raises(ValueError, match=f"^{field} must be {rule}.*got ") as caught:
        Recipe(**{"width": 4, "height": 4, field: value})

    assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("given", [{"scale": 1 / 255}, {"mean": (1.0,)}, {"std": (2.0,)}])
def test_bytes_are_not_normalised(given):
    """A model that takes bytes takes them as they are: asking for more is a mistake worth hearing of."""
    with pytest.raises(ValueError, match="dtype must be a float"):
        Recipe(width=4, height=4, dtype="uint8", **given)


def test_factors_are_the_whole_normalisation():
    """One multiplication and one addition do what scale, mean and std say."""
    recipe = Recipe(width=1, height=1, scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD)

    for (factor, summand), mean, std in zip(recipe.factors, IMAGENET_MEAN, IMAGENET_STD, strict=True):
        assert pytest.approx((200 / 255 - mean) / std) == 200 * factor + summand


def test_one_value_stands_for_all_channels():
    """A single mean or std is that of every channel."""
    one = Recipe(width=1, height=1, mean=(127.5,), std=(58.0,))

    assert Recipe(width=1, height=1, mean=(127.5,) * 3, std=(58.0,) * 3).factors == one.factors
