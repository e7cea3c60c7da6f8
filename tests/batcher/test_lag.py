"""An event loop that comes late: what that takes off a promise, and why no runner is idle meanwhile."""

import pytest

from batcher import WouldBeLate
from tests.fakes import GatedRunner, all_blocked, new_batcher, pass_until, virtual_time


@pytest.fixture
def batcher():
    """One image at a time, each 1 s."""
    batcher = new_batcher(max_batch=1)
    batcher.profile.observe(1, 1.0)
    return batcher


async def paced_runner(batcher):
    """A runner that takes one item at a time, and has answered one in 1 s."""
    runner = GatedRunner(batcher, room=1)
    ticket = batcher.enqueue_nowait("pace")
    await pass_until(1.0)
    runner.answer("pace")
    await ticket.wait()
    return runner


@virtual_time
async def test_lag_comes_off_what_a_newcomer_may_take(batcher):
    """Behind another it would be answered after 2 s, give or take, and that be seen 2 s later."""
    async with batcher:
        GatedRunner(batcher, room=1)
        batcher.allow_for_lag(2.0)

        with pytest.raises(WouldBeLate):
            batcher.check_open(deadline=3.9, coming=1)
        batcher.check_open(deadline=4.3, coming=1)


@virtual_time
async def test_lag_comes_off_up_to_half(batcher):
    """A loop that stalls breaks promises; to refuse everybody would not mend it."""
    async with batcher:
        GatedRunner(batcher, room=1)
        batcher.allow_for_lag(60.0)

        batcher.check_open(deadline=5.0, coming=1)


@virtual_time
@pytest.mark.parametrize(
    ("lag_s", "held"),
    [
        pytest.param(0.0, ["a"], id="no lag: what was granted"),
        pytest.param(1.5, ["a", "b"], id="an item more is done within the lag"),
        pytest.param(60.0, ["a", "b", "c"], id="twice the grant more at the most"),
    ],
)
async def test_runner_is_given_work_for_as_long_as_the_loop_may_be_late(batcher, lag_s, held):
    """Beyond its grant, and no more than it does in that time."""
    async with batcher:
        runner = await paced_runner(batcher)
        batcher.allow_for_lag(lag_s)
        tickets = [batcher.enqueue_nowait(item) for item in "abcde"]
        await all_blocked()

        assert held == [item for batch in runner.batches[1:] for item in batch]
        for ticket in tickets:
            ticket.cancel()
        for item in held:
            runner.answer(item)


@virtual_time
async def test_more_lag_sends_what_waits(batcher):
    """At once: nothing else might change for a while."""
    async with batcher:
        runner = await paced_runner(batcher)
        tickets = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        batcher.allow_for_lag(1.0)
        await all_blocked()

        assert [["pace"], ["a"], ["b"]] == runner.batches
        runner.answer("a", "b")
        assert ["A", "B"] == [await ticket.wait() for ticket in tickets]
