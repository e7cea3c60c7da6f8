"""Shifts of numbers and categories."""

import numpy as np
import pytest

from server.statistics.shift import category_index, category_p, kolmogorov_smirnov, stability_index


def samples(shift, size=500):
    """Give a sorted reference and a window that is shifted by so many standard deviations."""
    chance = np.random.default_rng(1)
    return np.sort(chance.normal(size=2000)), chance.normal(shift, size=size)


def test_the_distance_is_the_largest_between_the_functions():
    """By hand: below 2.5 is all of one sample and a quarter of the other."""
    distance, _ = kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0, 4.0, 5.0]))

    assert 0.75 == distance


@pytest.mark.parametrize(("distance", "p"), [(0.0556, 0.10), (0.0618, 0.05), (0.0739, 0.01)])
def test_its_chance_is_that_of_kolmogorov_s_table(distance, p):
    """1.22, 1.36 and 1.63, by the square root of 500, beyond the band of a very large reference."""
    reference = np.linspace(0.0, 1.0, 1_000_001)
    _, found = kolmogorov_smirnov(reference, (np.arange(500) + 0.5) / 500 + distance - 0.001)

    assert p == pytest.approx(found, rel=0.05)


def test_what_lies_within_the_error_of_the_reference_is_no_shift():
    """An unlucky reference does not alarm for ever."""
    reference, window = samples(0.05, 100_000)

    assert kolmogorov_smirnov(reference, window)[1] > 0.01


def test_a_shift_is_seen():
    """By both measures."""
    reference, window = samples(0.5)

    assert kolmogorov_smirnov(reference, window)[1] < 1e-6
    assert stability_index(reference, window) > 0.1


def test_no_shift_is_seen_where_there_is_none():
    """By neither."""
    reference, window = samples(0.0)

    assert kolmogorov_smirnov(reference, window)[1] > 0.05
    assert stability_index(reference, window) < 0.1


def test_equal_values_are_no_shift():
    """A camera that always gives one size."""
    same = np.full(500, 3.0)

    assert (0.0, 1.0) == kolmogorov_smirnov(same, same)
    assert stability_index(same, same) == pytest.approx(0.0)


def test_the_category_that_changed_is_named():
    """With the chance of so large a change in any of them."""
    name, p = category_p({"cat": 400, "dog": 600}, {"cat": 260, "dog": 240})

    assert name in ("cat", "dog")
    assert p < 0.001


def test_a_new_category_is_seen():
    """It is in no reference."""
    name, p = category_p({"cat": 1000}, {"cat": 480, "fog": 20})

    assert name in ("cat", "fog")
    assert p < 1e-6
    assert category_index({"cat": 1000}, {"cat": 480, "fog": 20}) > 0.1


def test_equal_shares_are_no_shift():
    """Whatever their number."""
    assert category_p({"cat": 100, "dog": 100}, {"cat": 50, "dog": 50})[1] == 1.0
