"""The virtual loop: time is exact, and a hang is an error. The tests of the batcher lean on both."""

import asyncio

import pytest

from batcher.testing import Hang
from tests.fakes import all_blocked, now, pass_until, virtual_time


def test_time_jumps_to_the_next_timer():
    """An hour takes no time, and is an hour to the last bit."""

    @virtual_time
    async def test():
        await asyncio.sleep(3600)

        assert 3600.0 == now()

    test()


@pytest.mark.parametrize("seconds", [None, float("inf")])
def test_a_hang_is_an_error(seconds):
    """Waiting for what cannot come fails the test at once, a timer at infinity notwithstanding."""

    @virtual_time
    async def test():
        if seconds:
            asyncio.get_running_loop().call_later(seconds, print)
        await asyncio.Event().wait()

    with pytest.raises(Hang):
        test()


def test_spinning_is_an_error():
    """A callback that calls itself again at the same moment, for ever, fails the test."""

    def again():
        asyncio.get_running_loop().call_soon(again)

    @virtual_time
    async def test():
        again()
        await asyncio.Event().wait()

    with pytest.raises(Hang):
        test()


def test_an_error_in_a_callback_fails_the_test():
    """A loop only logs it; here it is not overlooked."""

    @virtual_time
    async def test():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await all_blocked()

    with pytest.raises(AssertionError):
        test()


@virtual_time
async def test_waiting_for_the_others_takes_no_time():
    """All tasks go on as far as they can, and no timer fires meanwhile."""
    trace = []

    async def other():
        await asyncio.sleep(0)
        trace.append("ran")
        await asyncio.sleep(1)
        trace.append("slept")

    task = asyncio.create_task(other())
    await all_blocked()

    assert (["ran"], 0.0) == (trace, now())
    await task


@virtual_time
async def test_time_passes_to_a_moment():
    """What falls due at that very moment has happened."""
    trace = []
    asyncio.get_running_loop().call_at(2.0, trace.append, "due")

    await pass_until(2.0)

    assert (["due"], 2.0) == (trace, now())
