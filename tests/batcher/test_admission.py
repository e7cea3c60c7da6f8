"""Who may come in: the whole decision as tables of numbers."""

import pytest

from batcher import NoRunner, Policy, QueueFull, WouldBeLate
from batcher.admission import Load, admit, drain_s, predicted_s

NOW = 100.0
POLICY = Policy(max_queue=4, max_queue_bytes=1000)


def load(waiting=0, held_bytes=0, ahead=0, seats=1, seat_expected=None, pace_s=None):
    """Give what a batcher holds; by default nothing, with one seat."""
    return Load(waiting, held_bytes, ahead, seats, seat_expected, pace_s)


@pytest.mark.parametrize(
    ("held", "cost_s", "expected"),
    [
        pytest.param(load(), 0.0, 0.0, id="nothing measured: no ground to refuse on"),
        pytest.param(load(ahead=9), 0.0, 0.0, id="nothing measured, many ahead"),
        pytest.param(load(ahead=9), 3.0, 3.0, id="nothing measured, a cost of its own"),
        pytest.param(load(pace_s=2.0), 0.0, 2.0, id="its own work at the pace"),
        pytest.param(load(pace_s=2.0), 1.0, 2.0, id="cheaper than the pace"),
        pytest.param(load(pace_s=2.0), 5.0, 5.0, id="dearer than the pace"),
        pytest.param(load(pace_s=2.0, ahead=3), 0.0, 8.0, id="after three others"),
        pytest.param(load(pace_s=2.0, ahead=3, seats=2), 0.0, 5.0, id="after three others, shared by two"),
        pytest.param(load(pace_s=2.0, ahead=3, waiting=7), 0.0, 8.0, id="what stands behind does not count"),
        pytest.param(load(seats=0, seat_expected=NOW + 4), 0.0, 4.0, id="until a seat is there"),
        pytest.param(load(seats=0, seat_expected=NOW - 4), 0.0, 0.0, id="a seat is overdue"),
        pytest.param(load(seats=0), 0.0, 0.0, id="nobody knows when a seat will be there"),
        pytest.param(load(seats=1, seat_expected=NOW + 4), 0.0, 0.0, id="a further seat does not matter"),
        pytest.param(load(seats=0, seat_expected=NOW + 4, pace_s=2.0, ahead=3), 0.0, 12.0, id="all of it, on one seat"),
    ],
)
def test_predicted_seconds(held, cost_s, expected):
    """An item is answered when a seat is there, what stands before it is done, and then it itself."""
    assert expected == predicted_s(NOW, held, cost_s)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(load(), 0.0, id="nothing waits"),
        pytest.param(load(waiting=6), 0.0, id="nothing measured"),
        pytest.param(load(waiting=6, pace_s=2.0), 12.0, id="at the pace"),
        pytest.param(load(waiting=6, pace_s=2.0, seats=3), 4.0, id="shared by three"),
        pytest.param(load(waiting=6, pace_s=2.0, ahead=2), 12.0, id="wherever the newcomer would stand"),
        pytest.param(load(waiting=6, pace_s=2.0, seats=0, seat_expected=NOW + 4), 16.0, id="no seat yet"),
    ],
)
def test_drain_seconds(held, expected):
    """What waits is served at the measured pace by the seats there are."""
    assert expected == drain_s(NOW, held)


@pytest.mark.parametrize(
    ("held", "size", "deadline", "expected"),
    [
        pytest.param(load(), 0, NOW + 1, None, id="nothing is held"),
        pytest.param(load(waiting=3, ahead=3), 0, NOW + 1, None, id="the last place"),
        pytest.param(load(waiting=4, pace_s=2.0), 0, NOW + 99, QueueFull("4 items wait already", 8.0), id="count"),
        pytest.param(load(held_bytes=900), 100, NOW + 1, None, id="the last byte"),
        pytest.param(
            load(held_bytes=900, waiting=2, pace_s=2.0),
            101,
            NOW + 99,
            QueueFull("900 bytes are held already", 4.0),
            id="bytes",
        ),
        pytest.param(load(ahead=2, pace_s=2.0), 0, NOW + 6, None, id="just in time"),
        pytest.param(
            load(ahead=2, pace_s=2.0),
            0,
            NOW + 5,
            WouldBeLate("the answer would be 1.000 s late", 1.0),
            id="late",
        ),
        pytest.param(load(), 0, NOW, None, id="due now, nothing measured"),
        pytest.param(load(), 0, NOW - 1, WouldBeLate("the answer would be 1.000 s late", 1.0), id="late already"),
        pytest.param(load(seats=0), 0, NOW + 99, NoRunner("no runner is ready", 1.0), id="no runner"),
        pytest.param(load(seats=0, seat_expected=NOW + 9), 0, NOW + 9, None, id="a runner in time"),
        pytest.param(
            load(seats=0, seat_expected=NOW + 9),
            0,
            NOW + 7,
            WouldBeLate("the answer would be 2.000 s late", 2.0),
            id="a runner too late",
        ),
        pytest.param(load(seats=0, waiting=4), 0, NOW - 1, NoRunner("no runner is ready", 1.0), id="no runner, first"),
        pytest.param(load(waiting=4), 0, NOW - 1, QueueFull("4 items wait already", 0.0), id="count before late"),
    ],
)
def test_admit(held, size, deadline, expected):
    """What fits and would be in time comes in; a refusal says what is full, and for how long."""
    refusal = admit(NOW, held, size, 0.0, deadline, POLICY)

    assert told(expected) == told(refusal)


def test_its_own_cost_can_make_an_item_late():
    """A large image is refused where a small one is accepted."""
    refusal = admit(NOW, load(pace_s=1.0), 0, 4.0, NOW + 3, POLICY)

    assert told(WouldBeLate("the answer would be 1.000 s late", 1.0)) == told(refusal)


def test_a_late_item_fits_after_the_predicted_wait():
    """Asked again that much later, for as long, it is accepted: meanwhile what stood before it is done."""
    refusal = admit(NOW, load(ahead=5, pace_s=1.0), 0, 0.0, NOW + 4, POLICY)
    later = NOW + refusal.retry_after_s

    assert None is admit(later, load(ahead=3, pace_s=1.0), 0, 0.0, later + 4, POLICY)


def told(refusal):
    """Give all that a refusal says, to compare by value."""
    return refusal and (type(refusal), str(refusal), refusal.retry_after_s)
