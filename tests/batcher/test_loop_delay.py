"""An event loop that comes late: what that takes off a promise, and why no executor is idle meanwhile."""

import pytest

from batcher import WouldBeLate
from tests.fakes import GatedExecutor, all_blocked, new_batcher, pass_until, virtual_time


@pytest.fixture
def batcher():
    """One image at a time, each 1 s."""
    batcher = new_batcher(max_batch=1)
    batcher.observe_batch(1, 1.0)
    return batcher


async def paced_executor(batcher):
    """An executor that takes one item at a time, and has answered one in 1 s."""
    executor = GatedExecutor(batcher, credits=1)
    handle = batcher.enqueue_nowait("pace")
    await pass_until(1.0)
    executor.answer("pace")
    await handle.wait()
    return executor


@virtual_time
async def test_lag_comes_off_what_a_newcomer_may_take(batcher):
    """Behind another it would be answered after 2 s, give or take, and that be seen 2 s later."""
    async with batcher:
        GatedExecutor(batcher, credits=1)
        batcher.allow_for_delay(2.0)

        with pytest.raises(WouldBeLate):
            batcher.check_open(deadline=3.9, coming=1)
        batcher.check_open(deadline=4.3, coming=1)


@virtual_time
async def test_lag_comes_off_up_to_half(batcher):
    """A loop that stalls breaks promises; to refuse everybody would not mend it."""
    async with batcher:
        GatedExecutor(batcher, credits=1)
        batcher.allow_for_delay(60.0)

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
async def test_executor_is_given_work_for_as_long_as_the_loop_may_be_late(batcher, lag_s, held):
    """Beyond its grant, and no more than it does in that time."""
    async with batcher:
        executor = await paced_executor(batcher)
        batcher.allow_for_delay(lag_s)
        handles = [batcher.enqueue_nowait(item) for item in "abcde"]
        await all_blocked()

        assert held == [item for batch in executor.batches[1:] for item in batch]
        for handle in handles:
            handle.cancel()
        for item in held:
            executor.answer(item)


@virtual_time
async def test_more_lag_sends_what_waits(batcher):
    """At once: nothing else might change for a while."""
    async with batcher:
        executor = await paced_executor(batcher)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        batcher.allow_for_delay(1.0)
        await all_blocked()

        assert [["pace"], ["a"], ["b"]] == executor.batches
        executor.answer("a", "b")
        assert ["A", "B"] == [await handle.wait() for handle in handles]
