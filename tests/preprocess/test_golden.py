"""Tensors held against the plain path: every format, kind of pixels and recipe."""

from functools import cache

import numpy as np
import pytest

from preprocess import Limits
from preprocess.tensor import prepare
from tests.preprocess.golden import KINDS, PAGE, RECIPES, ROWS, WIDTH, picture, table
from tests.preprocess.pictures import distance, from_p3, plain_tensor

# Too few colours, or transparent in places that are not worth a second implementation.
WITHOUT_ORIGINAL = {"1 bit", "palette of 4", "one colour", "a clear value", "a clear colour", "half-clear colours"}


@cache
def file(format, kind):
    return KINDS[format, kind]()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.format}-{row.kind}-{row.recipe}")
def test_tensor(row):
    """The tensor differs from the plain one by no more than the tolerance, on average and anywhere."""
    data, recipe = file(row.format, row.kind), RECIPES[row.recipe]
    slot = np.full(recipe.shape, 7, recipe.dtype)

    prepare(data, recipe, slot, Limits())

    level = recipe.factors[0][0]  # what one of 255 levels becomes
    mean, largest = (part / level for part in distance(slot, plain_tensor(data, recipe)))
    assert mean <= row.mean
    assert largest <= row.largest


@pytest.mark.parametrize(("format", "kind"), [key for key in KINDS if not WITHOUT_ORIGINAL & set(key[1].split(", "))])
def test_looks_like_the_original(format, kind):
    """No decoder is taken at its word: the tensor shows the picture that the file was made of."""
    recipe = RECIPES["as it is"]
    slot = np.full(recipe.shape, 7, recipe.dtype)

    prepare(file(format, kind), recipe, slot, Limits())

    assert distance(slot.transpose(1, 2, 0), original(kind))[0] <= (20 if "palette" in kind else 3)


def original(kind):
    """The picture behind a kind, from its own numbers: (height, width, 3)."""
    samples = np.asarray(picture(), dtype=np.float64)
    if "grey" in kind:
        samples = (samples @ [0.299, 0.587, 0.114])[..., None].repeat(3, axis=-1)
    if "profile" in kind:
        samples = from_p3(samples)
    if "alpha" in kind or "RGBA" in kind:
        alpha = np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None] / 255
        samples = samples * alpha + 255 * (1 - alpha)
    return samples


def test_the_document_shows_this_table():
    """What is promised is what is tested."""
    assert table() in PAGE.read_text(encoding="utf-8")
