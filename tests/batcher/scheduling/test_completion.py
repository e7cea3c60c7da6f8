"""When an item will be answered, from what stands before it: tables of numbers."""

import pytest

from batcher.scheduling.completion import Ahead, Waiting, completion_time, start_time, tardy
from batcher.scheduling.service_time import Sample
from tests.fakes import service_times_of


def model_of(seconds, overlap=0):
    """Give the cost model of a batcher that has seen each size run once."""
    return service_times_of(seconds, overlap=overlap).model


ONE_BY_ONE = {1: 2.0, 2: 4.0}  # 2 s an item, no gain
BATCHES = {1: 9.0, 4: 12.0}  # 8 s a batch and 1 s an item


@pytest.mark.parametrize(
    ("free", "units", "expected"),
    [
        pytest.param([0.0], 0, 0.0, id="an idle slot"),
        pytest.param([3.0, 1.0], 0, 1.0, id="the first to fall free"),
        pytest.param([1.0], 3, 7.0, id="one slot: one after the other"),
        pytest.param([0.0, 0.0], 1, 0.0, id="one before it, two idle slots"),
        pytest.param([0.0, 0.0], 2, 2.0, id="two before it, two idle slots"),
        pytest.param([0.0, 1.0], 3, 3.0, id="in turns"),
        pytest.param([0.0, 50.0], 2, 4.0, id="a slot that hangs takes no part"),
        pytest.param([0.0, 3.0], 4, 5.0, id="out of step: as a fluid, less half a piece"),
    ],
)
def test_start(free, units, expected):
    """What stands before it is shared by the slots that fall free in time."""
    assert expected == start_time(free, units, 2.0)


@pytest.mark.parametrize(
    ("seconds", "free", "ahead", "cost", "expected"),
    [
        pytest.param({}, [0.0], Ahead(9, 0.0), 0.0, 0.0, id="nothing measured"),
        pytest.param({}, [0.0], Ahead(0, 0.0), 3.0, 3.0, id="nothing measured, a cost of its own"),
        pytest.param(ONE_BY_ONE, [0.0], Ahead(0, 0.0), 0.5, 2.5, id="alone"),
        pytest.param(ONE_BY_ONE, [1.0], Ahead(2, 0.0), 0.5, 7.5, id="after a busy slot and two others"),
        pytest.param(ONE_BY_ONE, [0.0], Ahead(2, 3.0), 0.5, 9.5, id="with the own costs of those before it"),
        pytest.param(BATCHES, [0.0], Ahead(1, 0.0), 0.0, 10.0, id="in a batch of two"),
        pytest.param(BATCHES, [0.0], Ahead(4, 0.0), 0.0, 24.0, id="in the second full batch"),
        pytest.param(BATCHES, [0.0], Ahead(4, 4.0), 1.0, 32.0, id="and its mates' own costs, in line"),
    ],
)
def test_finish(seconds, free, ahead, cost, expected):
    """The start, its own cost, and its whole batch."""
    assert expected == pytest.approx(completion_time(free, ahead, cost, model_of(seconds)).finish_s)


def test_costs_beside_the_batches_delay_only_where_they_are_the_longer():
    """Two at a time beside a device: 4 items of 8 s are 16 s, not 12; 2 s each cost nothing. Then a batch."""
    device = model_of(BATCHES, overlap=2)
    slow, fast = (completion_time([0.0], Ahead(4, each * 4), 0.0, device).finish_s for each in (8.0, 2.0))

    assert [16.0 + 12.0, 12.0 + 12.0] == [slow, fast]


@pytest.mark.parametrize(
    ("ahead", "joined"),
    [
        pytest.param(Ahead(0, 0.0), 3.0, id="alone: three more"),
        pytest.param(Ahead(2, 0.0), 1.0, id="one more"),
        pytest.param(Ahead(3, 0.0), 0.0, id="its batch is full"),
        pytest.param(Ahead(5, 0.0), 0.0, id="further back a whole batch is expected anyway"),
    ],
)
def test_others_may_join_its_batch(ahead, joined):
    """A prediction says how much later that would be."""
    assert joined == pytest.approx(completion_time([0.0], ahead, 0.0, model_of(BATCHES)).joined_s)


def test_who_is_late_delays_nobody():
    """Three wait, 2 s each: the second is due before it can be done; the third then is in time."""
    places = [Waiting(0.0, 2.0), Waiting(0.0, 3.0), Waiting(0.0, 4.0)]

    assert [(1, 4.0)] == list(tardy([0.0], places, model_of(ONE_BY_ONE)))


def test_those_of_one_batch_end_together():
    """Four are due when their batch ends: none is late; nor is a fifth that is due after one more."""
    places = [*[Waiting(0.0, 12.0)] * 4, Waiting(0.0, 24.0)]

    assert [] == list(tardy([0.0], places, model_of(BATCHES)))


def slowdown_after(*seconds):
    """Give the slowdown after items that took so long each, where the profile says 2 s."""
    times = service_times_of(ONE_BY_ONE)
    for each in seconds:
        times.observe(Sample(each, 0.0, 1))
    return times.model.slowdown


def test_half_the_speed_is_followed_at_once():
    """After two items, however long it was fast before; and so is the way back."""
    assert [2.0, 1.0] == [slowdown_after(*[2.0] * 50, 4.0, 4.0), slowdown_after(*[2.0] * 50, *[4.0] * 50, 2.0, 2.0)]


def test_one_stall_counts_as_twice_the_usual_and_changes_no_pace():
    """An item of 100 s after many of 2 s: as one of 4 s. Half of that is forgotten after 22 others."""
    stalled, later = slowdown_after(*[2.0] * 500, 100.0), slowdown_after(*[2.0] * 500, 100.0, *[2.0] * 22)

    assert 1.0 + 1 / 32 == pytest.approx(stalled)
    assert 1.0 + 1 / 64 == pytest.approx(later, abs=1e-3)


def test_a_first_stall_is_soon_seen_as_one():
    """The first item takes 200 s; after two more of 2 s it counts as one of 4 s."""
    assert [100.0, 4 / 3] == [slowdown_after(200.0), pytest.approx(slowdown_after(200.0, 2.0, 2.0), rel=0.02)]


def test_single_noise_is_not_followed():
    """Items of 1.8 and 2.2 s in turns: it moves by less than a hundredth from one to the next."""
    noisy = [slowdown_after(*([1.8, 2.2] * 40)[:count]) for count in range(60, 80)]

    assert max(noisy) - min(noisy) < 0.01


def test_a_pace_that_changes_all_the_time_is_noise():
    """A change counts as one after 32 batches of the same pace; then predictions made before it teach nothing."""
    times = service_times_of(ONE_BY_ONE)
    seen = []
    for each in (2.0, 4.0, 2.0, 4.0):
        for _ in range(20):
            times.observe(Sample(each, 0.0, 1))
        seen.append(times.speed_changes)

    assert [0, 1, 1, 1] == seen


def test_a_change_that_the_profile_has_seen_too_is_counted_once():
    """Samples are judged by what the profile says now."""
    times = service_times_of(ONE_BY_ONE)
    for _ in range(30):
        times.observe_batch(1, 4.0)
        times.observe(Sample(4.0, 0.0, 1))

    assert 4.0 == pytest.approx(times.model.work_s(0.0, 1), rel=0.02)


def test_own_costs_are_corrected_by_what_they_were():
    """Half as much again."""
    times = service_times_of(ONE_BY_ONE)
    for _ in range(5):
        times.observe_prep(2.0, 3.0)

    assert 1.5 == pytest.approx(times.model.prep_factor)
