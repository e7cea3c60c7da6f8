"""When to send how many: the table is the specification."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.scheduling.cost_model import from_profile
from batcher.scheduling.dispatch import Dispatch, Drop, Idle, Offer, QueueView, WakeAt, decide
from tests.fakes import profile_of

NOW = 100.0
NEVER = float("inf")
MAX_BATCH = 16


def measured(seconds):
    """Give the cost model of a batcher that has seen each size run once."""
    return from_profile(profile_of(seconds), MAX_BATCH)


UNKNOWN = measured({})
PAYS = measured({1: 9.0, 8: 16.0, 16: 24.0})  # 8 s a batch and 1 s an item: the larger the better
PAYS_TO_8 = measured({1: 9.0, 8: 16.0, 16: 32.0})  # 2 s an item from 8 on
FLAT = measured({1: 1.0, 16: 16.0})  # no gain at all


def waiting(count, *, due_in=NEVER, other_due_in=NEVER, for_s=0.0):
    """Give a queue; the head is due in `due_in` seconds, another one in `other_due_in`."""
    return QueueView(count, NOW + due_in, NOW + min(due_in, other_due_in), NOW - for_s)


@pytest.mark.parametrize(
    ("queue", "offer", "model", "expected"),
    [
        pytest.param(QueueView(0), Offer(16, 1), PAYS, Idle(), id="nothing waits"),
        pytest.param(waiting(5), Offer(0, 1), PAYS, Idle(), id="no room"),
        pytest.param(waiting(5), Offer(0, 0), PAYS, Idle(), id="no slot"),
        pytest.param(waiting(1), Offer(16, 1), UNKNOWN, Dispatch(1), id="one"),
        pytest.param(waiting(5), Offer(16, 1), UNKNOWN, Dispatch(5), id="nothing measured: all"),
        pytest.param(waiting(5), Offer(3, 1), UNKNOWN, Dispatch(3), id="no more than the room"),
        pytest.param(waiting(40), Offer(64, 1), UNKNOWN, Dispatch(16), id="no more than the policy allows"),
        pytest.param(waiting(6), Offer(16, 2), UNKNOWN, Dispatch(3), id="shared by two slots"),
        pytest.param(waiting(5), Offer(16, 2), UNKNOWN, Dispatch(3), id="shared by two slots, rounded up"),
        pytest.param(waiting(2), Offer(16, 3), UNKNOWN, Dispatch(1), id="more slots than items"),
        pytest.param(waiting(5), Offer(16, 1), PAYS, Dispatch(5), id="the larger the better: all"),
        pytest.param(waiting(5), Offer(16, 1), FLAT, Dispatch(1), id="no gain: one by one"),
        pytest.param(waiting(12), Offer(16, 1), PAYS_TO_8, Dispatch(8), id="no more than pays"),
        pytest.param(waiting(16, due_in=24.0), Offer(16, 1), PAYS, Dispatch(16), id="just in time"),
        pytest.param(waiting(16, due_in=23.9), Offer(16, 1), PAYS, Dispatch(8), id="too late for 16: half"),
        pytest.param(waiting(16, due_in=11.0), Offer(16, 1), PAYS, Dispatch(2), id="too late for 4: half again"),
        pytest.param(waiting(16, due_in=10.0), Offer(16, 1), PAYS, Dispatch(2), id="just in time for 2"),
        pytest.param(waiting(16, due_in=1.0), Offer(16, 1), PAYS, Dispatch(1), id="never less than one"),
        pytest.param(waiting(16, due_in=0.0), Offer(16, 1), UNKNOWN, Dispatch(16), id="due, but nothing measured"),
        pytest.param(waiting(16, due_in=-0.5), Offer(16, 1), UNKNOWN, Dispatch(1), id="overdue by its own work"),
        pytest.param(
            waiting(16, other_due_in=1.0), Offer(16, 1), PAYS, Dispatch(16), id="only the head cuts the batch"
        ),
    ],
)
def test_without_anything_on_its_way(queue, offer, model, expected):
    """What waits is sent at once, in batches as large as pays, is shared fairly, and is in time."""
    assert expected == decide(NOW, queue, offer, 0, MAX_BATCH, model)


@pytest.mark.parametrize(
    ("queue", "offer", "arriving", "model", "expected"),
    [
        pytest.param(QueueView(0), Offer(16, 1), 1, PAYS, Idle(), id="nothing waits yet"),
        pytest.param(waiting(1), Offer(0, 1), 1, PAYS, Idle(), id="no room"),
        pytest.param(waiting(1), Offer(16, 1), 1, PAYS, WakeAt(NOW + 8), id="the fixed cost"),
        pytest.param(waiting(5), Offer(16, 1), 9, PAYS, WakeAt(NOW + 8), id="the fixed cost, of a larger batch"),
        pytest.param(waiting(1, for_s=7.0), Offer(16, 1), 1, PAYS, WakeAt(NOW + 1), id="what is left of it"),
        pytest.param(waiting(1, for_s=8.0), Offer(16, 1), 1, PAYS, Dispatch(1), id="it has passed"),
        pytest.param(waiting(1), Offer(16, 1), 1, UNKNOWN, Dispatch(1), id="no gain known"),
        pytest.param(waiting(1), Offer(16, 1), 1, FLAT, Dispatch(1), id="no gain"),
        pytest.param(waiting(8), Offer(16, 1), 1, PAYS_TO_8, Dispatch(8), id="no gain any more"),
        pytest.param(waiting(7), Offer(16, 1), 1, PAYS_TO_8, WakeAt(NOW + 8), id="a gain still"),
        pytest.param(waiting(1), Offer(1, 1), 1, PAYS, Dispatch(1), id="no room for one more"),
        pytest.param(waiting(1), Offer(2, 1), 1, PAYS, WakeAt(NOW + 8), id="room for one more"),
        pytest.param(waiting(16), Offer(32, 1), 1, PAYS, Dispatch(16), id="the policy allows no more"),
        pytest.param(waiting(15), Offer(32, 1), 1, PAYS, WakeAt(NOW + 8), id="the policy allows one more"),
        pytest.param(waiting(17), Offer(32, 1), 1, PAYS, Dispatch(16), id="more than a batch waits"),
        pytest.param(waiting(4, due_in=11.0), Offer(16, 1), 1, PAYS, Dispatch(2), id="cut to be in time"),
        pytest.param(waiting(1), Offer(16, 2), 1, PAYS, Dispatch(1), id="it would run on the other slot"),
        pytest.param(waiting(1), Offer(16, 2), 2, PAYS, WakeAt(NOW + 8), id="one would run on this slot"),
        pytest.param(waiting(2), Offer(16, 2), 9, PAYS, Dispatch(1), id="more than a share waits"),
        pytest.param(waiting(1, due_in=14.0), Offer(16, 1), 1, PAYS, WakeAt(NOW + 4), id="latest start of two"),
        pytest.param(waiting(1, due_in=10.0), Offer(16, 1), 1, PAYS, Dispatch(1), id="latest start is now"),
        pytest.param(waiting(1, due_in=9.5), Offer(16, 1), 1, PAYS, Dispatch(1), id="latest start has passed"),
        pytest.param(waiting(2, other_due_in=14.0), Offer(16, 1), 1, PAYS, WakeAt(NOW + 3), id="latest start for any"),
    ],
)
def test_with_items_on_their_way(queue, offer, arriving, model, expected):
    """A wait needs a gain, somebody to gain by, and room; it ends at the fixed cost or the latest safe start."""
    assert expected == decide(NOW, queue, offer, arriving, MAX_BATCH, model)


TRUSTED = (1.0, 1.0)  # slowdown, and the least of it lately
SLOW = (2.0, 1.0)  # lately half the speed, but once at full


def due(*seconds, waiting=None):
    """Give a queue whose first jobs are due in so many seconds; `waiting` in all."""
    dues = tuple(NOW + each for each in seconds)
    return QueueView(waiting or len(dues), dues[0], min(dues), NOW, dues)


@pytest.mark.parametrize(
    ("queue", "offer", "model", "slowdown", "expected"),
    [
        pytest.param(due(0.5, 9.0), Offer(1, 1), FLAT, TRUSTED, Drop(1), id="late even alone: not started"),
        pytest.param(due(0.5, 0.9, 9.0), Offer(1, 1), FLAT, TRUSTED, Drop(2), id="two of them"),
        pytest.param(due(1.0), Offer(1, 1), FLAT, TRUSTED, Dispatch(1), id="just in time"),
        pytest.param(due(1.5), Offer(1, 1), FLAT, SLOW, Dispatch(1), id="in time only at the fastest: tried"),
        pytest.param(due(0.5), Offer(1, 1), FLAT, (1.0, 0.0), Dispatch(1), id="too little measured to trust: tried"),
        pytest.param(due(1.5), Offer(1, 1, ready_s=1.0), FLAT, TRUSTED, Drop(1), id="the slot is busy for too long"),
        pytest.param(
            due(1.5), Offer(1, 1, idle=True), FLAT, (50.0, 50.0), Dispatch(1), id="slow lately, but idle: tried"
        ),
        pytest.param(
            due(0.5), Offer(1, 1, idle=True), FLAT, (50.0, 50.0), Drop(1), id="idle, and never as quick as that"
        ),
        pytest.param(
            due(9.5, *[30.0] * 15), Offer(16, 1), PAYS, TRUSTED, Drop(1), id="one in the way of fifteen is given up"
        ),
        pytest.param(
            due(9.5, *[99.0] * 15), Offer(16, 1), PAYS, TRUSTED, Dispatch(1), id="there is time for all: nobody is"
        ),
    ],
)
def test_early_drop(queue, offer, model, slowdown, expected):
    """Nothing unmeetable is started, and the first are given up where more of the others gain by it."""
    assert expected == decide(
        NOW, queue, offer, 0, MAX_BATCH, model._replace(slowdown=slowdown[0], best_slowdown=slowdown[1])
    )


QUEUES = st.builds(
    waiting,
    st.integers(1, 200),
    due_in=st.floats(-10, 100),
    other_due_in=st.floats(-10, 100),
    for_s=st.floats(0, 20),
)
ROOMS = st.builds(Offer, st.integers(1, 64), st.integers(1, 8))
PROFILES = st.builds(measured, st.dictionaries(st.integers(1, 64), st.floats(0.001, 50), max_size=5))


@given(QUEUES, ROOMS, st.integers(0, 99), PROFILES)
def test_with_room_there_is_a_batch_or_a_short_wait(queue, offer, arriving, model):
    """Never idle, never more than there is room for, and no wait that is pointless or too long."""
    match decide(NOW, queue, offer, arriving, MAX_BATCH, model):
        case Dispatch(count):
            assert 1 <= count <= min(queue.count, offer.credits, MAX_BATCH)
        case WakeAt(when):
            assert arriving
            assert NOW < when <= queue.oldest + model.fixed_s
            assert isinstance(decide(when, queue, offer, arriving, MAX_BATCH, model), Dispatch)
        case action:
            pytest.fail(f"{action} with room and items")


@given(QUEUES, ROOMS, st.integers(1, 99), PROFILES)
def test_announced_items_only_delay(queue, offer, arriving, model):
    """The batch that is sent is the same as if nothing were on its way."""
    alone = decide(NOW, queue, offer, 0, MAX_BATCH, model)

    assert decide(NOW, queue, offer, arriving, MAX_BATCH, model) in (alone, WakeAt(late_start(queue, alone, model)))


def late_start(queue, alone, model):
    """Give the latest start that a wait may have."""
    return min(queue.oldest + model.fixed_s, queue.earliest_due - (model.run_s(alone.count + 1)))


@given(QUEUES, ROOMS, PROFILES)
def test_more_time_never_makes_a_batch_smaller(queue, offer, model):
    """A later deadline allows at least as many."""
    relaxed = replace(queue, head_due=queue.head_due + 10)

    assert (
        decide(NOW, queue, offer, 0, MAX_BATCH, model).count <= decide(NOW, relaxed, offer, 0, MAX_BATCH, model).count
    )
