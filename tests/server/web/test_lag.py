"""What the event loop's lag takes off a promise."""

import pytest

from server.web.lag import LoopLag


def test_loop_that_is_on_time_costs_nothing():
    """Timers are never early."""
    lag = LoopLag()
    lag.note(0.0)

    assert 0.0 == lag.allowance_s


def test_request_waits_for_the_loop_twice():
    """Once to be read, once to be answered."""
    lag = LoopLag()
    lag.note(0.05)

    assert pytest.approx(0.1) == lag.allowance_s


def test_worst_moment_is_forgotten_within_a_second():
    """A stall is over when it is over; what follows it shall not be refused for it."""
    lag = LoopLag()
    lag.note(0.4)
    allowances = [lag.allowance_s]
    for _ in range(10):
        lag.note(0.001)
        allowances.append(lag.allowance_s)

    assert allowances == sorted(allowances, reverse=True)
    assert allowances[-1] < 0.05 * allowances[0]
