"""How the answers of two models to the same pictures are compared."""

import math

import numpy as np
import pytest

from server.models.output_spec import Output
from server.optimize.agreement import compare, error_of, most_different, summary

CLASSES = Output(kind="classes", names=("p",), activation="none", top_k=2)
SCORE = Output(kind="score", names=("s",), activation="none")
LEVELS = Output(kind="score", names=("s",), activation="none", labels=("poor", "good"), thresholds=(0.5,))
RAW = Output(kind="raw", names=("boxes",), activation="none")


def rows(*values):
    """One output per image."""
    return [[np.array(one, np.float32)] for one in values]


def one(output, before, after):
    """A single image compared."""
    return compare([("a", "a")], rows(before), rows(after), output)[0]


def test_the_same_best_class_agrees():
    """With the overlap of the best, the correlation of ranks, and the differences."""
    found = one(CLASSES, [0.6, 0.3, 0.1], [0.5, 0.2, 0.3])

    assert found.same
    assert (0.5, 0.5) == (found.top_k, pytest.approx(found.correlation))
    assert (pytest.approx(0.4 / 3), pytest.approx(0.2)) == (found.mean, found.largest)


def test_another_best_class_disagrees():
    """Both are named."""
    found = one(CLASSES, [0.6, 0.4], [0.4, 0.6])

    assert (False, "0", "1") == (found.same, found.before, found.after)


def test_what_is_not_finite_disagrees():
    """Whatever it is beside."""
    found = one(CLASSES, [0.6, 0.4], [math.nan, 0.6])

    assert (False, math.inf) == (found.same, found.largest)


@pytest.mark.parametrize(("before", "after", "same"), [(0.6, 0.9, True), (0.49, 0.51, False)])
def test_of_a_score_with_levels_the_level_counts(before, after, same):
    """As clients see it."""
    assert same is one(LEVELS, [before], [after]).same


def test_a_score_without_levels_may_differ_by_a_part_of_the_spread():
    """Two hundredths of it."""
    before = [[number / 100] for number in range(101)]
    after = [[value[0] + (0.01 if value[0] < 0.5 else 0.05)] for value in before]

    found = compare([(str(n), str(n)) for n in range(101)], rows(*before), rows(*after), SCORE)

    assert 50 == sum(row.same for row in found)


@pytest.mark.parametrize(("after", "same"), [([1.0, 99.0], True), ([1.0, 90.0], False)])
def test_raw_outputs_are_judged_beside_their_largest_value(after, same):
    """As anywhere else in the server."""
    assert same is one(RAW, [1.0, 100.0], after).same


def test_a_source_picture_agrees_if_all_its_images_do():
    """Two crops of one photo are no two proofs."""
    images = [("a1", "a"), ("a2", "a"), ("b", "b")]
    before, after = rows([1, 0], [1, 0], [1, 0]), rows([1, 0], [0, 1], [1, 0])

    found = summary(compare(images, before, after, CLASSES))

    assert (3, 2, 1) == (found.images, found.sources, found.agreeing)
    assert {"0": (2, 3)} == found.classes


def test_the_most_different_pictures_are_those_that_disagree():
    """Then those with the largest differences."""
    images = [(name, name) for name in "abc"]
    found = compare(images, rows([1, 0], [1, 0], [0.6, 0.4]), rows([1, 0], [0.7, 0.3], [0.4, 0.6]), CLASSES)

    assert ["c", "b"] == [row.image for row in most_different(found, 2)]


def test_the_error_is_the_share_of_noise():
    """And infinite where there is no telling."""
    assert pytest.approx(0.01) == error_of(rows([10.0]), rows([11.0]))
    assert math.inf == error_of(rows([10.0]), rows([math.nan]))
