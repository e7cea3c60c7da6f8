"""Rates against a limit, looked at after every trial."""

import random

import pytest

from server.statistics.rates import exceeds, log_evidence, upper_bound


def test_three_failures_in_a_row_are_enough_against_one_percent():
    """A version that always fails is found out at once."""
    assert exceeds(3, 3, 0.01, 0.001)


def test_nothing_is_said_of_a_rate_at_its_limit():
    """What is expected is no evidence."""
    assert log_evidence(10, 1000, 0.01) < 0


def test_a_limit_of_zero_is_broken_by_one():
    """There is no chance to speak of."""
    assert exceeds(1, 1000, 0.0, 1e-9)


def test_a_limit_of_one_is_never_broken():
    """All may fail."""
    assert not exceeds(1000, 1000, 1.0, 0.5)


def test_looks_after_every_trial_are_rarely_wrong():
    """At the limit itself, at most `alpha` of the series ever raise an alarm."""
    chance = random.Random(1)
    alarms = 0
    for _ in range(400):
        hits, alarmed = 0, False
        for trial in range(1, 400):
            hits += chance.random() < 0.05
            alarmed = alarmed or exceeds(hits, trial, 0.05, 0.05)
        alarms += alarmed

    assert alarms <= 0.05 * 400


@pytest.mark.parametrize(("hits", "trials", "bound"), [(0, 0, 1.0), (0, 100, 0.02634), (5, 100, 0.09916)])
def test_upper_bounds_are_wilsons(hits, trials, bound):
    """Computed by hand from the published formula, with z = 1.645."""
    assert bound == pytest.approx(upper_bound(hits, trials), abs=1e-4)
