"""Do the arms have their shares?"""

import random

import pytest

from server.statistics.mismatch import ALPHA, mismatch_p


@pytest.mark.parametrize(
    ("counts", "mismatched"),
    [((5000, 5000), False), ((5080, 4920), False), ((51_000, 49_000), True), ((9_100, 900), True)],
)
def test_uneven_counts_are_told(counts, mismatched):
    """Of two arms with one half each."""
    assert mismatched == (mismatch_p(counts, (0.5, 0.5)) < ALPHA)


def test_intended_shares_need_not_be_equal():
    """Ninety to ten is what was asked for."""
    assert mismatch_p((9_010, 990), (0.9, 0.1)) > 0.5


def test_looking_often_rarely_alarms():
    """At none of 50 looks, in 300 experiments that are assigned as intended."""
    chance = random.Random(1)
    alarms = 0
    for _ in range(300):
        first = 0
        for look in range(1, 51):
            first += sum(chance.random() < 0.5 for _ in range(20))
            alarms += mismatch_p((first, 20 * look - first), (0.5, 0.5)) < ALPHA

    assert alarms <= 1
