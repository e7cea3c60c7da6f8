"""From a row of numbers to what the client reads."""

import json

import numpy as np
import pytest

from server.models.output_spec import Output
from server.models.render import answerer

ROW = np.array([0.1, 0.7, 0.2], np.float32)


def members(row=ROW, kind="classes", activation="none", **output):
    rows = row if isinstance(row, list) else [row]
    render = answerer(Output(kind=kind, activation=activation, **output))
    return json.loads(b"{" + render(rows) + b"}")


# ---- Classes ----


def test_probabilities_are_left_alone_best_first():
    """Activation "none" does nothing to a row."""
    answer = members(labels=("a", "b", "c"))

    assert {"predictions"} == answer.keys()
    assert [("b", 0.7), ("c", 0.2), ("a", 0.1)] == [(p["label"], p["score"]) for p in answer["predictions"]]


def test_softmax_makes_probabilities():
    """Of scores of any size, large ones without overflow."""
    answer = members(np.array([1000.0, 1001.0], np.float32), activation="softmax")

    assert [("1", 0.731059), ("0", 0.268941)] == [(p["label"], p["score"]) for p in answer["predictions"]]


def test_sigmoid_takes_each_class_alone():
    """Of scores of any size; they need not sum to 1."""
    answer = members(np.array([0.0, 200.0, -200.0], np.float32), activation="sigmoid")

    assert [1.0, 0.5, 0.0] == [p["score"] for p in answer["predictions"]]


def test_activation_none_keeps_raw_scores():
    """A card that says none means it."""
    assert [3.0, -1.0] == [p["score"] for p in members(np.array([3.0, -1.0], np.float32))["predictions"]]


def test_score_and_tip_are_the_best_labels():
    """What the card gives each label, the answer takes from the best."""
    answer = members(labels=("a", "b", "c"), scores=(1.0, 2.0, 3.0), tips=("x", "y", "z"))

    assert (2.0, "y") == (answer["score"], answer["tip"])


def test_top_k_bounds_the_list():
    """A thousand classes give a short answer."""
    assert 2 == len(members(top_k=2)["predictions"])


def test_equal_scores_keep_the_models_order():
    """The same image always gets the same answer."""
    answer = members(np.array([0.5, 0.5], np.float32))

    assert ["0", "1"] == [p["label"] for p in answer["predictions"]]


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3), (3,)])
def test_classes_may_stand_in_any_one_row(shape):
    """Fully convolutional classifiers leave dimensions of 1 behind."""
    assert members() == members(ROW.reshape(shape))


def test_half_precision_is_answered_like_any_other():
    """Softmax of float16 is computed in float32, or a thousand classes would sum to less than 1."""
    answer = members(np.array([10, 11], np.float16), activation="softmax")

    assert [0.731059, 0.268941] == [p["score"] for p in answer["predictions"]]


# ---- One score ----


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_one_score_is_the_models_value(shape):
    """With the digits that float32 holds, and no more."""
    assert {"score": 0.1} == members(np.full(shape, 0.1, np.float32), "score")


def test_a_tiny_score_is_not_nothing():
    """Digits are counted from the first that is not 0."""
    assert {"score": 3.2e-09} == members(np.float32(3.2e-9), "score")


@pytest.mark.parametrize(
    ("value", "label"), [(-9.0, "bad"), (1.9, "bad"), (2.0, "fair"), (3.9, "fair"), (4.0, "good"), (99.0, "good")]
)
def test_a_score_reaches_a_level(value, label):
    """A level begins at its threshold; the lowest has none."""
    levels = {"labels": ("bad", "fair", "good"), "tips": ("x", "y", "z"), "thresholds": (2.0, 4.0)}
    answer = members(np.float32(value), "score", **levels)

    assert {"score", "label", "tip"} == answer.keys()
    assert label == answer["label"]
    assert {"bad": "x", "fair": "y", "good": "z"}[label] == answer["tip"]


def test_a_score_through_a_sigmoid():
    """For models that end in a logit."""
    assert {"score": 0.7310586} == members(np.float32(1), "score", "sigmoid")


# ---- Raw ----


def test_raw_outputs_are_nested_lists_by_name():
    """Floats, whole numbers and yes or no, each with the shape of one image."""
    rows = [np.array([[0.5, -2], [3, 4]], np.float32), np.int64(7), np.array([True, False])]

    answer = members(rows, "raw", names=("grid", "best", "flags"))

    assert {"outputs": {"grid": [[0.5, -2], [3, 4]], "best": 7, "flags": [True, False]}} == answer


def test_raw_numbers_are_exact():
    """What comes out of the JSON is the float32 that went in."""
    values = np.random.default_rng(0).standard_normal(1000, np.float32) * np.float32(1e-6)

    answer = members([values], "raw", names=("x",))

    assert values.tolist() == np.array(answer["outputs"]["x"], np.float32).tolist()
