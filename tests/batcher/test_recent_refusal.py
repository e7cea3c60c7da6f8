"""One refusal as the example of the next: as long as nothing changes, and for those whom it tells anything of."""

import gc
import weakref

import pytest

from batcher import WouldBeLate
from tests.fakes import GatedExecutor, all_blocked, new_batcher, now, pass_until, virtual_time


@pytest.fixture
def batcher():
    """One image at a time, each 1 s."""
    batcher = new_batcher(max_batch=1)
    batcher.observe_batch(1, 1.0)
    return batcher


async def refused_one(batcher, **what):
    """An executor is busy for 1 s, and an item that could only wait for 2.3 s, at a cost of 1 s, was refused."""
    executor = GatedExecutor(batcher, credits=1)
    handle = batcher.enqueue_nowait("first")
    await all_blocked()
    with pytest.raises(WouldBeLate) as refused:
        batcher.check_open(**{"prep_s": 1.0, "deadline": now() + 2.3, **what})
    return executor, handle, refused.value


@virtual_time
async def test_next_one_is_refused_by_its_example(batcher):
    """Who has as long, as long as nothing is known to have changed; each is counted."""
    async with batcher:
        executor, _, first = await refused_one(batcher)
        batcher.observe_batch(1, 0.0)  # nobody says that it might matter
        batcher.observe_batch(1, 0.0)

        with pytest.raises(WouldBeLate) as again:
            batcher.check_open(prep_s=1.0, deadline=now() + 2.3)
        assert first.retry_after_s < again.value.retry_after_s
        assert 2 == batcher.stats().refused["would_be_late"]
        executor.answer("first")


@virtual_time
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"prep_s": 0.0, "deadline": 2.3}, id="cheaper"),
        pytest.param({"prep_s": 1.0, "deadline": 9.0}, id="with more time"),
    ],
)
async def test_others_are_asked_for_themselves(batcher, other):
    """It is no example for who needs less, or has longer."""
    async with batcher:
        executor, _, _ = await refused_one(batcher, deadline=2.3)

        batcher.check_open(**other)
        executor.answer("first")


@virtual_time
async def test_more_urgent_one_is_asked_for_itself(batcher):
    """It stands before those who made the other one late."""
    async with batcher:
        executor = GatedExecutor(batcher, credits=1)
        handles = [batcher.enqueue_nowait(item, urgency=2) for item in "abcdefghi"]
        await all_blocked()
        with pytest.raises(WouldBeLate):
            batcher.check_open(urgency=3, deadline=now() + 5.0)

        batcher.check_open(urgency=0, deadline=now() + 5.0)
        for handle in handles:
            handle.cancel()
        executor.answer("a")


@virtual_time
async def test_it_stands_until_something_changes(batcher):
    """An executor that has answered is free."""
    async with batcher:
        executor, handle, _ = await refused_one(batcher)
        executor.answer("first")

        batcher.check_open(prep_s=1.0, deadline=now() + 2.5)
        await handle.wait()


@virtual_time
async def test_it_stands_for_a_millisecond(batcher):
    """Time passes, and what is under way gets done."""
    async with batcher:
        executor, _, _ = await refused_one(batcher, deadline=2.9)
        await pass_until(0.9)

        batcher.check_open(prep_s=1.0, deadline=now() + 2.5)
        executor.answer("first")


@virtual_time
@pytest.mark.parametrize("ask", ["enqueue_nowait", "check_open", "refusal"])
async def test_a_refusal_leaves_nothing_to_the_collector(batcher, ask):
    """Under overload there are thousands: a pause to collect them would make others late."""
    async with batcher:
        executor, _, _ = await refused_one(batcher, deadline=2.3)
        gc.disable()
        try:
            refused = weakref.ref(refusal_by(batcher, ask))
            assert refused() is None
        finally:
            gc.enable()
        executor.answer("first")


def refusal_by(batcher, ask):
    """How `batcher` refuses one that is due too soon."""
    deadline = now() + 2.3
    try:
        if ask == "enqueue_nowait":
            batcher.enqueue_nowait("second", prep_s=1.0, deadline=deadline)
        if ask == "check_open":
            batcher.check_open(prep_s=1.0, deadline=deadline)
        return batcher.refusal(prep_s=1.0, deadline=deadline)
    except WouldBeLate as refused:
        return refused
