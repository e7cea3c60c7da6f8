"""With what chance of being late an image may be accepted, from who was accepted lately."""

import pytest

from batcher.scheduling.miss_budget import MissBudget


def after(*tight):
    """Give what is allowed after images that were at budget, or not."""
    budget = MissBudget()
    for one in tight:
        budget.accept(one)
    return budget.allowed


@pytest.mark.parametrize(
    ("tight", "expected"),
    [
        pytest.param([], 0.005, id="before anybody was seen: as if all were at budget"),
        pytest.param([True] * 2000, 0.005, id="all of them: half a percent each"),
        pytest.param([True, False] * 2000, 0.010, id="half of them"),
        pytest.param([*[True] * 2, *[False] * 8] * 400, 0.025, id="a fifth of them"),
        pytest.param([False] * 5000, 0.100, id="none: a tenth at most"),
    ],
)
def test_the_fewer_are_at_risk_the_more_each_may_be(tight, expected):
    """So that half a percent of all are late."""
    assert expected == pytest.approx(after(*tight), rel=0.05)


def test_overload_after_calm_is_met_within_some_hundred_images():
    """Until then the budget that the calm has left is spent, and no more."""
    allowed = [after(*[False] * 5000, *[True] * count) for count in (0, 100, 500, 2000)]

    assert sorted(allowed, reverse=True) == allowed
    assert allowed[2] < 0.01
