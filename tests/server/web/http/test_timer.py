"""A deadline that is moved with every request, on virtual time."""

import asyncio

import pytest

from batcher.testing import VirtualLoop
from server.web.http.timer import Timer


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def strikes(loop, until_s, *steps):
    """When a timer strikes by `until_s`. `steps`: at which second it is set to how many."""
    seen = []

    async def run():
        timer = Timer(loop, lambda: seen.append(loop.time()))
        for at, seconds in steps:
            loop.call_at(at, timer.set, seconds)
        await asyncio.sleep(until_s)
        timer.cancel()

    loop.run_until_complete(run())
    return seen


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([(0, 10)], [10], id="once"),
        pytest.param([(0, 10), (4, 10), (8, 10)], [18], id="moved later"),
        pytest.param([(0, 75), (3, 10)], [13], id="moved earlier"),
        pytest.param([(0, 10), (5, None)], [], id="lifted"),
        pytest.param([(0, 10), (5, None), (12, 3)], [15], id="lifted and set again"),
        pytest.param([(0, 10), (20, 10)], [10, 30], id="set again after it has struck"),
    ],
)
def test_strikes_once_when_the_last_deadline_has_passed(loop, steps, expected):
    """Whatever deadlines there were before."""
    assert expected == strikes(loop, 100, *steps)


def test_moving_a_deadline_later_makes_no_timer(loop):
    """A request moves it twice; the loop's heap of timers hears nothing of that."""
    made = []
    call_at, loop.call_at = loop.call_at, lambda *args: made.append(args) or call_at(*args)
    timer = Timer(loop, lambda: None)
    for _ in range(1000):
        timer.set(75)
        timer.set(None)

    assert 1 == len(made)
