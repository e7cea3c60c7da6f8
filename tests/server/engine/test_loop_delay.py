"""What the event loop's delay takes off a promise."""

import pytest

from server.engine.loop_delay import LoopDelay


def test_loop_that_is_on_time_costs_nothing():
    """Timers are never early."""
    delay = LoopDelay()
    delay.note(0.0)

    assert 0.0 == delay.allowance_s


def test_request_waits_for_the_loop_twice():
    """Once to be read, once to be answered."""
    delay = LoopDelay()
    delay.note(0.05)

    assert pytest.approx(0.1) == delay.allowance_s


def test_worst_moment_is_forgotten_within_a_second():
    """A stall is over when it is over; what follows it shall not be refused for it."""
    delay = LoopDelay()
    delay.note(0.4)
    allowances = [delay.allowance_s]
    for _ in range(10):
        delay.note(0.001)
        allowances.append(delay.allowance_s)

    assert allowances == sorted(allowances, reverse=True)
    assert allowances[-1] < 0.05 * allowances[0]


def test_standstill_that_harmed_nobody_is_forgiven_once():
    """A function that was frozen between two invocations has no less time for the next one."""
    delay = LoopDelay()
    delay.forgive()
    delay.note(60.0)
    forgiven = delay.allowance_s
    delay.note(0.05)

    assert (0.0, pytest.approx(0.1)) == (forgiven, delay.allowance_s)
