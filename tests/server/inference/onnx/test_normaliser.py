"""The head: a picture's bytes become on the device what the CPU would have made of them."""

import numpy as np
import onnx
import pytest

from preprocess.limits import Limits
from preprocess.recipe import IMAGENET_MEAN, IMAGENET_STD, Recipe
from preprocess.tensor import prepare
from server.inference.onnx.normaliser import IMAGE, PIXELS, head_for, needs_head, pixels_of
from server.inference.onnx.providers import open_session
from tests.photos import photo
from tests.server.inference.providers import PROVIDERS

NORMALISATIONS = {
    "as it is": {},
    "0 to 1": {"scale": 1 / 255},
    "one mean": {"scale": 1 / 127.5, "mean": (1.0,), "std": (0.5,)},
    "ImageNet": {"scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
}
GREY = {"scale": 1 / 255, "mean": (0.4,), "std": (0.2,)}
KINDS = [
    *(("RGB", each) for each in NORMALISATIONS.values()),
    ("BGR", NORMALISATIONS["ImageNet"]),
    ("grey", {}),
    ("grey", GREY),
]
WITHIN = {"float32": 1e-4, "float16": 1e-2}


def prepared(images, recipe):
    """A batch as the CPU makes it."""
    batch = np.zeros((len(images), *recipe.shape), recipe.dtype)
    for image, slot in zip(images, batch, strict=True):
        prepare(image, recipe, slot, Limits())
    return batch


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("colour", "values"), KINDS)
def test_what_the_head_makes_is_what_the_cpu_would_have_made(colour, values, layout, dtype, provider):
    """Of every kind of input, with and without a border in the card's colour."""
    for fit in ("cover", "contain"):
        recipe = Recipe(
            width=14, height=9, fit=fit, pad=(200, 30, 90), layout=layout, dtype=dtype, colour=colour, **values
        )
        images = [photo(n) for n in range(3)]
        head = open_session(head_for(recipe), provider)

        (made,) = head.run([IMAGE], {PIXELS: prepared(images, pixels_of(recipe))})

        expected = prepared(images, recipe)
        assert (expected.shape, expected.dtype) == (made.shape, made.dtype)
        np.testing.assert_allclose(made.astype(float), expected.astype(float), atol=WITHIN[dtype], rtol=1e-3)


def test_pixels_are_a_quarter_of_what_the_model_takes():
    """That is what the head is for."""
    recipe = Recipe(width=224, height=224, scale=1 / 255)

    assert 4 * prepared([photo(1)], pixels_of(recipe)).nbytes == prepared([photo(1)], recipe).nbytes


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_model_that_takes_bytes_needs_no_head(layout):
    """It is given the bytes in the layout that it takes."""
    recipe = Recipe(width=8, height=4, dtype="uint8", layout=layout)

    assert (False, recipe) == (needs_head(recipe), pixels_of(recipe))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", WITHIN)
def test_the_file_is_right_by_the_format(layout, dtype):
    """By the format's own checker, shapes and types inferred; sides of 300 pixels take two bytes each."""
    recipe = Recipe(width=300, height=128, layout=layout, dtype=dtype, scale=0.5)
    model = onnx.load_from_string(head_for(recipe))

    onnx.checker.check_model(model, full_check=True)
    sides = [[side.dim_param or side.dim_value for side in one.type.tensor_type.shape.dim] for one in ends(model)]
    assert [["N", 128, 300, 3], ["N", *recipe.shape]] == sides


def ends(model):
    return [*model.graph.input, *model.graph.output]
