"""What is seen in one image and its answer."""

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from server.drift.features import input_features, output_features
from server.drift.names import INPUTS
from server.models.output_spec import Output


def seen(image, pixels=0, *, sideways=False):
    """Give the features by name."""
    found = input_features(image, pixels or image.width * image.height, sideways=sideways)
    return dict(zip(INPUTS, found, strict=True))


def noisy(mode="RGB"):
    """Give a picture with detail."""
    pixels = np.random.default_rng(1).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_a_plain_picture_has_no_contrast():
    """Nor any colour, if it is grey."""
    found = seen(Image.new("RGB", (200, 100), (51, 51, 51)))

    assert (pytest.approx(0.2), pytest.approx(0.0, abs=1e-6)) == (found["brightness"], found["contrast"])
    assert found["colourfulness"] == pytest.approx(0.0, abs=1e-6)


def test_size_and_aspect_are_of_the_upright_original():
    """Whatever it was decoded at."""
    found = seen(Image.new("RGB", (200, 100)), 4096 * 4096)

    assert (12.0, 1.0) == (found["size"], found["aspect"])
    assert -1.0 == seen(Image.new("RGB", (200, 100)), sideways=True)["aspect"]


def test_blur_lowers_sharpness():
    """Whatever the picture shows."""
    assert seen(noisy().filter(ImageFilter.GaussianBlur(1.5)))["sharpness"] < seen(noisy())["sharpness"] - 0.5


def test_darkness_leaves_sharpness_as_it_is():
    """It is a ratio."""
    darker = noisy().point(lambda value: int(value * 0.5))

    assert seen(darker)["sharpness"] == pytest.approx(seen(noisy())["sharpness"], abs=0.05)


def test_grey_and_tiny_pictures_are_seen():
    """None of them is too small."""
    assert 0.0 == seen(noisy("L"))["colourfulness"]
    assert all(map(math.isfinite, seen(Image.new("RGB", (1, 1))).values()))


def test_classes_have_confidence_and_entropy():
    """And a score where the card has them."""
    row = [np.array([0.0, 0.0, 100.0], np.float32)]
    output = Output(kind="classes", activation="softmax", names=("out",), labels=("a", "b", "c"), scores=(1, 2, 3))

    assert (3, pytest.approx(1.0), pytest.approx(0.0, abs=1e-6)) == output_features(row, output)


def test_a_score_is_itself():
    """There is no confidence to speak of."""
    score, confidence, entropy = output_features([np.array([2.5], np.float32)], Output(kind="score", activation="none"))

    assert 2.5 == score
    assert math.isnan(confidence)
    assert math.isnan(entropy)


def test_raw_outputs_have_none():
    """Nobody knows what they mean."""
    assert all(map(math.isnan, output_features([np.zeros(3)], Output(kind="raw"))))
