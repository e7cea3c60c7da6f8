"""Who may come in: the whole decision as a table of numbers."""

import pytest

from batcher import NoRunner, Policy, QueueFull, WouldBeLate
from batcher.admission import Load, admit

NOW = 100.0
POLICY = Policy(max_queue=4, max_queue_bytes=1000)


@pytest.mark.parametrize(
    ("load", "size", "deadline", "expected"),
    [
        pytest.param(Load(), 0, NOW + 1, None, id="nothing is held"),
        pytest.param(Load(), 0, NOW, None, id="due now, nothing measured: tried"),
        pytest.param(Load(), 0, NOW - 1, WouldBeLate("the answer would be 1.000 s late", 1.0), id="late already"),
        pytest.param(Load(waiting=3), 0, NOW + 1, None, id="the last place"),
        pytest.param(Load(waiting=4, drain_s=8.0), 0, NOW + 99, QueueFull("4 items wait already", 8.0), id="count"),
        pytest.param(
            Load(waiting=4), 0, NOW + 99, QueueFull("4 items wait already", 1.0), id="count, nothing measured"
        ),
        pytest.param(Load(held_bytes=900), 100, NOW + 1, None, id="the last byte"),
        pytest.param(
            Load(held_bytes=900, drain_s=4.0), 101, NOW + 99, QueueFull("900 bytes are held already", 4.0), id="bytes"
        ),
        pytest.param(
            Load(held_bytes=900), 101, NOW + 99, QueueFull("900 bytes are held already", 1.0), id="bytes, unmeasured"
        ),
        pytest.param(Load(finish_s=6.0), 0, NOW + 6, None, id="just in time"),
        pytest.param(Load(finish_s=6.0), 0, NOW + 5, WouldBeLate("the answer would be 1.000 s late", 1.0), id="late"),
        pytest.param(Load(finish_s=4.0, margin_s=1.0), 0, NOW + 5, None, id="in time with the margin"),
        pytest.param(
            Load(finish_s=4.0, margin_s=2.0),
            0,
            NOW + 5,
            WouldBeLate("the answer would be 1.000 s late", 1.0),
            id="in time by less than the margin",
        ),
        pytest.param(
            Load(finish_s=4.0, margin_s=1.0, lag_s=1.0), 0, NOW + 6, None, id="in time with the margin and lag"
        ),
        pytest.param(
            Load(finish_s=4.0, margin_s=1.0, lag_s=1.0),
            0,
            NOW + 5,
            WouldBeLate("the answer would be 1.000 s late", 1.0),
            id="in time, but not seen in time",
        ),
        pytest.param(
            Load(finish_s=4.0, broken_s=0.5),
            0,
            NOW + 5,
            WouldBeLate("one accepted before would be 0.500 s late", 0.5),
            id="in time, at the cost of another's promise",
        ),
        pytest.param(
            Load(finish_s=9.0, margin_s=9.0, broken_s=1.0, idle=True, hope_s=1.0),
            0,
            NOW + 1,
            None,
            id="an idle runner is tried, whatever was learned",
        ),
        pytest.param(
            Load(finish_s=9.0, idle=True, hope_s=2.0),
            0,
            NOW + 1,
            WouldBeLate("the answer would be 1.000 s late", 1.0),
            id="an idle runner that was never so quick",
        ),
        pytest.param(Load(seats=0), 0, NOW + 99, NoRunner("no runner is ready", 1.0), id="no runner"),
        pytest.param(Load(seats=0, runner_expected=True, finish_s=9.0), 0, NOW + 9, None, id="a runner in time"),
        pytest.param(
            Load(seats=0, runner_expected=True, finish_s=9.0),
            0,
            NOW + 7,
            WouldBeLate("the answer would be 2.000 s late", 2.0),
            id="a runner too late",
        ),
        pytest.param(Load(seats=0, waiting=4), 0, NOW - 1, NoRunner("no runner is ready", 1.0), id="no runner, first"),
        pytest.param(Load(waiting=4), 0, NOW - 1, QueueFull("4 items wait already", 1.0), id="count before late"),
    ],
)
def test_admit(load, size, deadline, expected):
    """What fits and would be in time comes in; a refusal says what is full, and for how long."""
    refusal = admit(NOW, load, size, deadline, POLICY)

    assert told(expected) == told(refusal)


def told(refusal):
    """Give all that a refusal says, to compare by value."""
    return refusal and (type(refusal), str(refusal), refusal.retry_after_s)
