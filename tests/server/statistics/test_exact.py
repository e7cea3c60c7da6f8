"""The exact lower bound, and how many trials a claim needs."""

import pytest

from server.statistics.exact import lower_bound, most_misses, trials_needed


@pytest.mark.parametrize(
    ("hits", "trials", "bound"),
    [
        (0, 0, 0.0),
        (0, 10, 0.0),
        (1, 1, 0.05),
        (299, 299, 0.05 ** (1 / 299)),  # all hits: bound ** trials is 5 %
        (98, 100, 0.9384),  # scipy.stats.beta.ppf(0.05, 98, 3)
        (990, 1000, 0.98310),  # scipy.stats.beta.ppf(0.05, 990, 11)
    ],
)
def test_the_bound_is_clopper_pearsons(hits, trials, bound):
    """As tables have it."""
    assert bound == pytest.approx(lower_bound(hits, trials), abs=5e-5)


def test_the_fewest_trials_are_found():
    """One fewer would not be enough."""
    needed = trials_needed(1.0, 0.99)

    assert 299 == needed
    assert lower_bound(needed - 1, needed - 1) < 0.99 <= lower_bound(needed, needed)


@pytest.mark.parametrize("rate", [0.98, 0.99])
def test_no_number_of_trials_lifts_the_bound_above_the_rate(rate):
    """So there is none to tell."""
    assert trials_needed(rate, 0.99) is None


@pytest.mark.parametrize(("trials", "misses"), [(298, None), (299, 0), (1000, 4)])
def test_the_most_misses_that_pass(trials, misses):
    """None where there are too few trials even without any."""
    assert misses == most_misses(trials, 0.99)
