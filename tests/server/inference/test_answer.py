"""From a row of numbers to what the client reads."""

import json

import numpy as np
import pytest

from server.inference.answer import Answerer
from server.inference.card import Output

ROW = np.array([0.1, 0.7, 0.2], np.float32)


def members(output, row=ROW, probabilities=True):
    return json.loads(b"{" + Answerer(output, probabilities).members(row) + b"}")


def test_probabilities_are_left_alone_best_first():
    """Activation "auto" does nothing to rows that sum to 1."""
    answer = members(Output(labels=("a", "b", "c")))

    assert {"predictions"} == answer.keys()
    assert [("b", 0.7), ("c", 0.2), ("a", 0.1)] == [(p["label"], p["score"]) for p in answer["predictions"]]


@pytest.mark.parametrize("activation", ["auto", "softmax"])
def test_other_rows_go_through_softmax(activation):
    """Scores of any size become probabilities, large ones without overflow."""
    row = np.array([1000.0, 1001.0], np.float32)

    answer = members(Output(activation=activation), row, probabilities=False)

    assert [("1", 0.731059), ("0", 0.268941)] == [(p["label"], p["score"]) for p in answer["predictions"]]


def test_activation_none_keeps_raw_scores():
    """A card that says none means it."""
    answer = members(Output(activation="none"), np.array([3.0, -1.0], np.float32), probabilities=False)

    assert [3.0, -1.0] == [p["score"] for p in answer["predictions"]]


def test_score_and_tip_are_the_best_labels():
    """What the card gives each label, the answer takes from the best."""
    answer = members(Output(labels=("a", "b", "c"), scores=(1.0, 2.0, 3.0), tips=("x", "y", "z")))

    assert (2.0, "y") == (answer["score"], answer["tip"])


def test_top_k_bounds_the_list():
    """A thousand classes give a short answer."""
    assert 2 == len(members(Output(top_k=2))["predictions"])


def test_equal_scores_keep_the_models_order():
    """The same image always gets the same answer."""
    answer = members(Output(), np.array([0.5, 0.5], np.float32))

    assert ["0", "1"] == [p["label"] for p in answer["predictions"]]
