"""Differences of means, looked at daily, in simulated experiments: the short form of `tests/soak/experiments.py`."""

import pytest

from server.statistics.difference import Moments, difference, moments, units_needed
from tests.soak.experiments import false_alarms, found


def test_an_experiment_without_effect_rarely_alarms():
    """At most 5 % of experiments at 20 looks each, while a t-test at each look alarms in over 15 %."""
    valid, naive = false_alarms(runs=300, seed=1)

    assert valid <= 0.05
    assert naive > 0.15


def test_an_effect_is_found_by_the_predicted_size():
    """5 % of a rate of 20 %, in at least 80 % of the runs; here with the few runs that tests have time for."""
    assert found(runs=200, seed=1) >= 0.77


def test_a_smaller_effect_takes_more_units():
    """Nearly four times as many for half of it."""
    one, half = units_needed(0.16, 0.01, 0.5), units_needed(0.16, 0.005, 0.5)

    assert 3.5 < half / one < 4.5


def test_unequal_shares_take_more_units():
    """The smaller arm decides."""
    assert units_needed(0.16, 0.01, 0.1) > 2 * units_needed(0.16, 0.01, 0.5)


@pytest.mark.parametrize("few", [Moments(), Moments(99, 0.5, 20.0)])
def test_nothing_is_said_of_few_units(few):
    """Their mean may be far from normal."""
    assert difference(few, Moments(1000, 0.5, 250.0), 0.01) is None


def test_nothing_is_said_where_nothing_varies():
    """There is no scale to measure by."""
    assert difference(Moments(200, 1.0, 0.0), Moments(200, 1.0, 0.0), 0.01) is None


def test_moments_are_those_of_the_textbook():
    """Count, mean, and the unbiased variance."""
    assert (4, 2.5, pytest.approx(5 / 3)) == (
        (found := moments([1.0, 2.0, 3.0, 4.0])).count,
        found.mean,
        found.variance,
    )


def test_bounds_lie_around_the_estimate():
    """And leave 0 out only for a difference that is found."""
    seen = difference(Moments(10_000, 0.2, 1600.0), Moments(10_000, 0.25, 1875.0), 0.01)

    assert seen
    assert seen.low < seen.estimate < seen.high
    assert seen.found
