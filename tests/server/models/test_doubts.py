"""Which normalisations are doubted: rules on values."""

import numpy as np
import pytest

from preprocess.recipe import IMAGENET_MEAN, IMAGENET_STD, Recipe
from server.models.doubts import doubts_of, saturated
from server.models.output_spec import Output

IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
SOFTMAX = Output(kind="classes", names=("x",), activation="softmax")
SIGMOID = Output(kind="score", names=("x",), activation="sigmoid")


def recipe(**values):
    return Recipe(width=8, height=8, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"scale": 1 / 255, **IMAGENET},
        {"scale": 1 / 255},
        {"scale": 1 / 127.5, "mean": (1.0,)},
        {"scale": 1.0},
        {"scale": 1.0, "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
        {"scale": 1.0, "mean": (104.0, 117.0, 123.0), "colour": "BGR"},
        {"dtype": "uint8"},
    ],
)
def test_what_models_are_trained_with_is_not_doubted(values):
    """ImageNet's in both units, 0 to 1, -1 to 1, bytes as they are, and with a mean taken off."""
    assert [] == doubts_of(recipe(**values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scale": 1.0, **IMAGENET}, "black and white come to -2.036 and 1136; most models"),
        ({"scale": 1 / 255, "mean": (123.675,), "std": (58.395,)}, "come to -2.118 and -2.101, so that all pictures"),
        ({"scale": 1 / 255, "mean": (123.675,)}, "come to -123.7 and -122.7; most models"),
        ({"scale": 1 / 65025}, "come to 0 and 0.003922, so that all pictures look alike"),
    ],
)
def test_mixed_units_are_doubted(values, words):
    """Of 0..1 and 0..255: every picture comes out alike, or far from what models know."""
    (doubt,) = doubts_of(recipe(**values))

    assert words in doubt
    assert doubt.startswith("scale = ")


def test_bytes_as_they_are_are_doubted_where_the_model_is_always_certain():
    """Of one class, or of 0 or 1; one picture of which it is not certain is enough to believe the card."""
    certain, unsure = [np.array([0, 200, 3], np.float32)], [np.array([0, 0.1, 0], np.float32)]
    ends, middle = [np.array([-90], np.float32)], [np.array([0.1], np.float32)]

    assert saturated(recipe(), [certain, certain], SOFTMAX)
    assert saturated(recipe(), [ends, ends], SIGMOID)
    assert [] == saturated(recipe(), [certain, unsure], SOFTMAX)
    assert [] == saturated(recipe(), [ends, middle], SIGMOID)
    assert [] == saturated(recipe(scale=1 / 255), [certain, certain], SOFTMAX)
