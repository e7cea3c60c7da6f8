"""The gate: how far answers are apart."""

import numpy as np
import pytest

from server.models.agreement import disagreement
from server.models.output_spec import Output

RAW = Output(kind="raw", activation="none", names=("a", "b"))
CLASSES = Output(kind="classes", activation="softmax", names=("a",))
SCORE = Output(kind="score", activation="none", names=("a",))


def floats(*values):
    return np.array(values, np.float32)


def whole(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("output", "expected", "got", "apart"),
    [
        (SCORE, [[floats(2)], [floats(4)]], [[floats(2)], [floats(4)]], (0.0, "a")),
        (SCORE, [[floats(2)], [floats(4)]], [[floats(2.5)], [floats(4)]], (0.125, "a")),
        (SCORE, [[floats(-4)], [floats(2)]], [[floats(-4)], [floats(1)]], (0.25, "a")),
        (SCORE, [[floats(0)]], [[floats(1)]], (float("inf"), "a")),
        (SCORE, [[floats(1)]], [[floats(np.nan)]], (float("inf"), "a")),
        (SCORE, [[floats(np.nan)], [floats(4)]], [[floats(1)], [floats(3)]], (0.25, "a")),
        (SCORE, [[floats(np.nan)], [floats(np.nan)]], [[floats(1)], [floats(3)]], (float("inf"), "a")),
        (RAW, [[floats(1, 2), whole(3)]], [[floats(1, 1), whole(3)]], (0.5, "a")),
        (RAW, [[floats(1, 2), whole(300)]], [[floats(1, 2), whole(301)]], (1.0, "b")),
        (RAW, [[floats(1, 2), whole(3)]], [[floats(1), whole(3)]], (1.0, "a")),
    ],
    ids=[
        "same",
        "largest of all",
        "signs",
        "none at all",
        "lost",
        "never there",
        "nowhere there",
        "values",
        "whole numbers",
        "shapes",
    ],
)
def test_it_is_the_largest_difference_beside_the_largest_value(output, expected, got, apart):
    """Of each output over all pictures; the worst output is named."""
    assert apart == disagreement(expected, got, output)


def boxes(score=0.0, left=0.0):
    """20 of them by five values: four sides in pixels and a score, one of which is off by so much."""
    sides = np.linspace(1, 600, 80).reshape(20, 4)
    made = np.column_stack([sides, np.linspace(0, 0.9, 20)])
    made[7, 4] += score
    made[3, 0] += left
    return made.astype(np.float32)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("off", "apart"),
    [
        ({"score": 0.5}, 0.1),  # a fifth: its column comes to 0.9, which counts as 1
        ({"score": -0.04}, 0.008),
        ({"left": 3.0}, 0.005),
        ({"left": 30.0}, 0.05),
    ],
)
def test_scores_beside_boxes_are_judged_by_the_scale_of_scores(off, apart, turned):
    """Along whichever axis they lie; beside 600 pixels no score would ever be wrong."""
    one, other = boxes(), boxes(**off)
    rows = [[[each.T if turned else each]] for each in (one, other)]

    assert (pytest.approx(apart, rel=0.07), "a") == disagreement(
        *rows, Output(kind="raw", activation="none", names=("a",))
    )


def test_a_few_values_tell_no_scale():
    """An embedding's small values are judged beside its large ones."""
    one = np.array([8.0, 0.01, 4.0], np.float32)

    assert (pytest.approx(0.01), "a") == disagreement([[one]], [[one + np.float32([0, 0.08, 0])]], SCORE)


def test_classes_are_compared_as_they_are_answered():
    """Logits that all moved alike give the same answer."""
    logits = floats(3, 1, 0)

    assert (pytest.approx(0, abs=1e-6), "a") == disagreement([[logits]], [[logits + 50]], CLASSES)
    assert disagreement([[logits]], [[logits[::-1]]], CLASSES)[0] > 0.9
    assert (float("inf"), "a") == disagreement([[logits]], [[logits + np.float32(np.inf)]], CLASSES)
