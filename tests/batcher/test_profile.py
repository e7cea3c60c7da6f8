"""What a batch costs, learned from samples: prediction, robustness, and which size is big enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher import Profile
from batcher.profile import blend


def measured(seconds):
    """Give a profile that has seen each size run once."""
    profile = Profile()
    for size, each in seconds.items():
        profile.observe(size, each)
    return profile


LINE = {1: 9.0, 8: 16.0, 16: 24.0}  # 8 s a batch and 1 s an item
BENT = {2: 12.0, 4: 16.0, 8: 18.0}  # from 4 on, an item costs less


@pytest.mark.parametrize(
    ("seconds", "size", "expected"),
    [
        pytest.param({}, 4, None, id="nothing measured"),
        pytest.param({4: 2.0}, 4, 2.0, id="one size, itself"),
        pytest.param({4: 2.0}, 8, 4.0, id="one size, larger: in proportion"),
        pytest.param({4: 2.0}, 1, 2.0, id="one size, smaller: no cheaper"),
        pytest.param(LINE, 8, 16.0, id="measured"),
        pytest.param(LINE, 4, 12.0, id="between two"),
        pytest.param(LINE, 12, 20.0, id="between the next two"),
        pytest.param(LINE, 32, 40.0, id="past the largest"),
        pytest.param(BENT, 3, 14.0, id="between the first two of a bent line"),
        pytest.param(BENT, 6, 17.0, id="between the last two of a bent line"),
        pytest.param(BENT, 16, 22.0, id="past the largest of a bent line: on with the last two"),
        pytest.param(BENT, 1, 10.0, id="below the smallest of a bent line: back with the first two"),
        pytest.param({16: 24.0, 1: 9.0, 8: 20.0}, 12, 22.0, id="measured in any order, nearest two count"),
        pytest.param({4: 10.0, 8: 40.0}, 1, 0.0, id="below the smallest, never less than 0"),
        pytest.param({4: 8.0, 8: 6.0}, 6, 8.0, id="a larger size is never predicted cheaper"),
    ],
)
def test_seconds_of_a_batch(seconds, size, expected):
    """Measured sizes are known, others lie on the line through the nearest two."""
    assert expected == measured(seconds).seconds(size)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({}, 0.0),
        ({8: 16.0}, 0.0),
        (LINE, 8.0),
        (BENT, 8.0),
        ({4: 10.0, 8: 40.0}, 0.0),
        ({2: 3.0, 4: 3.0}, 3.0),
    ],
)
def test_fixed_cost(seconds, expected):
    """It is what a batch of none would cost: unknown before two sizes were seen, and never below 0."""
    assert expected == measured(seconds).fixed_s


@pytest.mark.parametrize(
    ("seconds", "limit", "expected"),
    [
        pytest.param({}, 8, None, id="nothing measured"),
        pytest.param({4: 8.0}, 8, None, id="one size tells nothing of others"),
        pytest.param(LINE, 16, 16, id="the largest is best"),
        pytest.param(LINE, 64, 64, id="an unmeasured limit counts by its prediction"),
        pytest.param(LINE, 4, 4, id="nothing above the limit counts"),
        pytest.param(LINE, 8, 8, id="the limit itself counts"),
        pytest.param({1: 1.0, 8: 8.0}, 16, 1, id="no gain: the smallest"),
        pytest.param({1: 100.0, 2: 190.0, 4: 380.0}, 4, 2, id="the smallest of the best"),
        pytest.param({1: 105.0, 2: 200.0}, 2, 1, id="5 % worse is good enough"),
        pytest.param({1: 106.0, 2: 200.0}, 2, 2, id="6 % worse is not"),
        pytest.param({1: 10.0, 2: 10.0, 4: 40.0}, 4, 2, id="larger is worse again"),
    ],
)
def test_best_size(seconds, limit, expected):
    """It is the smallest whose seconds an item are within 5 % of the best."""
    assert expected == measured(seconds).best_size(limit)


@pytest.mark.parametrize(
    ("seconds", "size", "limit", "expected"),
    [
        pytest.param({}, 1, 8, False, id="unknown"),
        pytest.param(LINE, 1, 8, True, id="yes"),
        pytest.param(LINE, 8, 8, False, id="not above the limit"),
        pytest.param({1: 1.0, 8: 8.0}, 1, 8, False, id="no gain"),
    ],
)
def test_cheaper_if_larger(seconds, size, limit, expected):
    """Only a measured gain counts."""
    assert expected is measured(seconds).cheaper_if_larger(size, limit)


@pytest.mark.parametrize(
    ("known", "sample", "expected"),
    [
        pytest.param(None, 5.0, 5.0, id="the first is taken as it is"),
        pytest.param(10.0, 10.0, 10.0, id="a confirmation changes nothing"),
        pytest.param(10.0, 15.0, 11.0, id="a fifth of the difference, up"),
        pytest.param(10.0, 5.0, 9.0, id="a fifth of the difference, down"),
        pytest.param(10.0, 20.0, 12.0, id="twice as slow counts in full"),
        pytest.param(10.0, 1000.0, 12.0, id="one stall counts as twice as slow"),
        pytest.param(0.0, 5.0, 5.0, id="an estimate of 0 says nothing: a coarse clock"),
    ],
)
def test_blend(known, sample, expected):
    """An estimate follows its samples, and no single one carries it away."""
    assert expected == blend(known, sample)


def test_a_size_seen_again_corrects_its_seconds():
    """What is known of other sizes stays."""
    profile = measured({1: 10.0, 2: 12.0})

    profile.observe(1, 15.0)

    assert {1: 11.0, 2: 12.0} == profile.sizes


def test_the_sizes_are_a_copy():
    """Who reads them cannot change what is known."""
    profile = measured(LINE)

    profile.sizes.clear()

    assert LINE == profile.sizes


def test_sizes_are_listed_in_order():
    """However they were measured."""
    assert [1, 2, 8] == list(measured({8: 1.0, 1: 1.0, 2: 1.0}).sizes)


def test_repr_shows_milliseconds():
    """A profile in a log reads as a table."""
    assert "Profile(1: 9.00 ms, 8: 16.50 ms)" == repr(measured({8: 0.0165, 1: 0.009}))


@given(st.dictionaries(st.integers(1, 64), st.floats(0.001, 10.0), min_size=2, max_size=6), st.integers(1, 64))
def test_any_profile_predicts(seconds, limit):
    """Whatever was measured, predictions are at least 0, and the best size is within the limit."""
    profile = measured(seconds)

    assert all(profile.seconds(size) >= 0.0 for size in range(1, 65))
    assert profile.fixed_s >= 0.0
    assert 1 <= profile.best_size(limit) <= limit


def test_work_in_line_with_a_batch_leaves_less_to_gain_by_larger_ones():
    """A batch of 8 is half as dear an image as one alone; beside ten times as much decoding that is little."""
    profile = Profile()
    for size in (1, 8):
        profile.observe(size, 1.0 + size)
    alone = profile.best_size(8)
    profile.take_in_line(20.0)

    assert (8, 1) == (alone, profile.best_size(8))


def test_the_hand_over_of_each_batch_counts_where_work_is_in_line():
    """Of a model that takes next to nothing, a few images share it."""
    profile = Profile()
    for size in (1, 2, 4, 8):
        profile.observe(size, size * 1e-5)
    profile.take_in_line(0.5e-3)

    assert 4 == profile.best_size(8)


def test_least_is_the_quickest_batch_ever():
    """Whatever came after it."""
    profile = Profile()
    empty = profile.least_s
    for seconds in (0.5, 0.25, 0.75):
        profile.observe(4, seconds)

    assert (0.0, 0.25) == (empty, profile.least_s)
