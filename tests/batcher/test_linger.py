"""The one wait that is allowed while there is room: for items on their way, where a larger batch pays."""

import pytest

from tests.fakes import GatedExecutor, all_blocked, lingering_batcher, now, pass_until, virtual_time


async def broken_upload(batcher, until):
    """Announce an item that never comes."""
    with batcher.arriving():
        await pass_until(until)
        raise ConnectionError


@virtual_time
async def test_it_waits_for_the_fixed_cost_at_most():
    """An announced item that does not come delays the others by what a batch costs anyway."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        with batcher.arriving():
            handle = batcher.enqueue_nowait("a")
            await pass_until(7.9)
            before = list(executor.batches)
            await pass_until(8.0)

        assert ([], [["a"]]) == (before, executor.batches)
        executor.answer("a")
        await handle.wait()


@virtual_time
async def test_what_arrives_meanwhile_joins_the_batch():
    """That is what the wait is for."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        with batcher.arriving():
            first = batcher.enqueue_nowait("a")
            await pass_until(2.0)
            second = batcher.enqueue_nowait("b")
        await all_blocked()

        assert ([["a", "b"]], 2.0) == (executor.batches, now())
        executor.answer("a", "b")
        assert ("A", "B") == (await first.wait(), await second.wait())


@virtual_time
async def test_it_ends_when_nothing_is_on_its_way_any_more():
    """An upload that was broken off is not waited for."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        handle = batcher.enqueue_nowait("a")
        with pytest.raises(ConnectionError):
            await broken_upload(batcher, 1.0)
        await all_blocked()

        assert ([["a"]], 1.0) == (executor.batches, now())
        executor.answer("a")
        await handle.wait()


@virtual_time
async def test_each_item_on_its_way_counts_for_itself():
    """One of two that is broken off leaves the other to wait for."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        handle = batcher.enqueue_nowait("a")
        with batcher.arriving():
            with pytest.raises(ConnectionError):
                await broken_upload(batcher, 1.0)
            await pass_until(2.0)
            before = list(executor.batches)
        await all_blocked()

        assert ([], [["a"]]) == (before, executor.batches)
        executor.answer("a")
        await handle.wait()


@virtual_time
async def test_nothing_on_its_way_is_no_wait():
    """An item alone is sent at once."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()

        assert ([["a"]], 0.0) == (executor.batches, now())
        executor.answer("a")
        await handle.wait()


@virtual_time
async def test_it_ends_at_the_latest_safe_start_of_the_head():
    """A batch of one more has to end in time: due at 14, the start is at 14 - 10."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        with batcher.arriving():
            handle = batcher.enqueue_nowait("a", deadline=14.0)
            await pass_until(3.9)
            before = list(executor.batches)
            await pass_until(4.0)

        assert ([], [["a"]]) == (before, executor.batches)
        executor.answer("a")
        await handle.wait()


@virtual_time
async def test_it_ends_at_the_latest_safe_start_of_any_that_waits():
    """A less urgent item with an earlier deadline is not made late by the wait."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        with batcher.arriving():
            urgent = batcher.enqueue_nowait("a", deadline=90.0, urgency=0)
            tight = batcher.enqueue_nowait("b", deadline=14.0)
            await pass_until(3.0)

        assert [["a", "b"]] == executor.batches
        executor.answer("a", "b")
        assert ("A", "B") == (await urgent.wait(), await tight.wait())


@virtual_time
async def test_newcomers_ahead_do_not_prolong_it():
    """An item that is preempted again and again waits no longer than the fixed cost either."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=16)
        with batcher.arriving():
            handles = [batcher.enqueue_nowait("a", deadline=90.0)]
            await pass_until(6.0)
            handles.append(batcher.enqueue_nowait("b", deadline=80.0))
            await pass_until(8.0)

        assert [["b", "a"]] == executor.batches
        executor.answer("a", "b")
        assert ["A", "B"] == [await handle.wait() for handle in handles]


@virtual_time
async def test_it_needs_room_for_one_more():
    """A slot that takes no more than what waits gains nothing by waiting."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        with batcher.arriving():
            handle = batcher.enqueue_nowait("a")
            await all_blocked()

        assert [["a"]] == executor.batches
        executor.answer("a")
        await handle.wait()


@virtual_time
async def test_it_needs_more_items_than_free_slots():
    """What is on its way would run beside this one, not with it."""
    async with lingering_batcher() as batcher:
        executors = [GatedExecutor(batcher, credits=16), GatedExecutor(batcher, credits=16)]
        with batcher.arriving():
            handle = batcher.enqueue_nowait("a")
            await all_blocked()

        assert [["a"]] == executors[0].batches
        executors[0].answer("a")
        await handle.wait()


@virtual_time
async def test_it_ends_with_the_slot_that_had_the_room():
    """The executor that could take more dies; the one that is left takes the item at once."""
    async with lingering_batcher() as batcher:
        large, small = GatedExecutor(batcher, credits=16), GatedExecutor(batcher, credits=1)
        with batcher.arriving():
            handle = batcher.enqueue_nowait("a")
            await all_blocked()
            before = list(small.batches)
            large.slot.close("killed")
            await all_blocked()

        assert ([], [["a"]]) == (before, small.batches)
        small.answer("a")
        await handle.wait()


@virtual_time
async def test_one_that_waited_for_a_executor_is_not_kept():
    """It has waited longer than the fixed cost already."""
    async with lingering_batcher() as batcher:
        executor = GatedExecutor(batcher)
        with batcher.arriving():
            handle = batcher.enqueue_nowait("a")
            await pass_until(9.0)
            executor.slot.grant(16)
            await all_blocked()

        assert [["a"]] == executor.batches
        executor.answer("a")
        await handle.wait()
