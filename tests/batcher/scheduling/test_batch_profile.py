"""What a batch costs, learned from samples: prediction, robustness, and which size is big enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.scheduling.batch_profile import BatchProfile
from batcher.scheduling.cost_model import from_profile


def measured(seconds):
    """Give a profile that has seen these sizes run, in order."""
    profile = BatchProfile()
    for size, each in seconds.items() if isinstance(seconds, dict) else seconds:
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
        pytest.param({16: 24.0, 8: 20.0, 1: 9.0}, 12, 22.0, id="measured in any order, nearest two count"),
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
def test_gains_above(seconds, size, limit, expected):
    """Only a measured gain counts."""
    assert expected is from_profile(measured(seconds), limit).gains_above(size)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        pytest.param(10.0, 10.0, id="a confirmation changes nothing"),
        pytest.param(15.0, 10.9, id="about a fifth of the difference, up"),
        pytest.param(5.0, 8.6, id="down"),
        pytest.param(20.0, 11.6, id="twice as slow counts in full"),
        pytest.param(1000.0, 11.6, id="one stall counts as twice as slow"),
        pytest.param(0.0, 10.0, id="a sample of 0 says nothing: a coarse clock"),
    ],
)
def test_a_sample_corrects_what_is_known(sample, expected):
    """An estimate follows its samples, and no single one carries it away."""
    assert expected == pytest.approx(measured([(4, 10.0), (4, sample)]).seconds(4), abs=0.05)


def test_of_a_coarse_clock_the_first_that_is_not_0_counts():
    """An estimate of 0 says nothing."""
    assert 5.0 == measured([(4, 0.0), (4, 5.0)]).seconds(4)


def test_noise_moves_no_size_against_the_others():
    """Single images of 40 and 80 s in turns, thousands of them: larger batches do not come to pay."""
    profile = measured({1: 40.0, 2: 80.0, 4: 160.0})
    for _ in range(2000):
        for each in (40.0, 40.0, 80.0):
            profile.observe(1, each)

    assert 1 == profile.best_size(4)


def test_a_size_seen_again_corrects_the_pace_of_all():
    """What makes one slower makes the others slower too."""
    profile = measured({1: 10.0, 2: 12.0})

    profile.observe(1, 15.0)

    assert [10.9, 13.0] == pytest.approx([profile.seconds(1), profile.seconds(2)], abs=0.05)


def test_half_the_speed_of_one_size_does_not_make_others_pay():
    """A machine that slows down while it runs single images: batches are no better than they were."""
    profile = measured({1: 10.0, 2: 20.0, 4: 40.0})
    for _ in range(20):
        profile.observe(1, 20.0)

    assert 1 == profile.best_size(4)
    assert 80.0 == pytest.approx(profile.seconds(4), rel=0.05)


def test_what_a_size_costs_beside_others_is_learned_slowly():
    """Single images twice as dear, those in fours as before: after some hundred of each that is known."""
    profile = measured({1: 10.0, 4: 40.0})
    for _ in range(300):
        profile.observe(1, 20.0)
        profile.observe(4, 40.0)

    assert 4 == profile.best_size(4)


def test_a_new_size_starts_between_its_neighbours():
    """Its first sample may be a stall."""
    profile = measured({1: 10.0, 4: 40.0})

    profile.observe(2, 400.0)

    assert 20.0 == pytest.approx(profile.seconds(2) / profile.drift, rel=0.02)


def test_batches_that_were_cut_short_do_not_move_the_best_size():
    """Of sizes that happened to run, 30 is within 5 % of 32; only doublings are asked for."""
    profile = measured({1: 23.0, 16: 52.0, 32: 84.0})
    for size in (29, 30, 31):
        profile.observe(size, 20.0 + 2.0 * size)

    assert 32 == profile.best_size(32)


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
    assert "BatchProfile(1: 9.00 ms, 8: 16.50 ms)" == repr(measured({8: 0.0165, 1: 0.009}))


@given(st.dictionaries(st.integers(1, 64), st.floats(0.001, 10.0), min_size=2, max_size=6), st.integers(1, 64))
def test_any_profile_predicts(seconds, limit):
    """Whatever was measured, predictions are at least 0, and the best size is within the limit."""
    profile = measured(seconds)

    assert all(profile.seconds(size) >= 0.0 for size in range(1, 65))
    assert profile.fixed_s >= 0.0
    assert 1 <= profile.best_size(limit) <= limit


def test_work_in_line_with_a_batch_leaves_less_to_gain_by_larger_ones():
    """A batch of 8 is half as dear an image as one alone; beside ten times as much decoding that is little."""
    profile = BatchProfile()
    for size in (1, 8):
        profile.observe(size, 1.0 + size)
    alone = profile.best_size(8)
    profile.set_inline_prep(20.0)

    assert (8, 1) == (alone, profile.best_size(8))


def test_the_hand_over_of_each_batch_counts_where_work_is_in_line():
    """Of a model that takes next to nothing, a few images share it."""
    profile = BatchProfile()
    for size in (1, 2, 4, 8):
        profile.observe(size, size * 1e-5)
    profile.set_inline_prep(0.5e-3)

    assert 4 == profile.best_size(8)


def test_least_is_the_quickest_batch_ever():
    """Whatever came after it."""
    profile = BatchProfile()
    empty = profile.fastest_s
    for seconds in (0.5, 0.25, 0.75):
        profile.observe(4, seconds)

    assert (0.0, 0.25) == (empty, profile.fastest_s)
