"""Items whose executor was lost are tried alone, and cost nobody else anything."""

import pytest

from batcher import RetriesExhausted
from tests.fakes import GatedExecutor, all_blocked, new_batcher, virtual_time


async def lose(batcher, items):
    """Put items in, let an executor die with them, and give their handles."""
    dying = GatedExecutor(batcher, credits=len(items) + 9)  # the roomiest: all go there
    handles = [batcher.enqueue_nowait(item) for item in items]
    await all_blocked()
    dying.slot.close("killed")
    return handles


@virtual_time
async def test_others_go_on_at_the_other_slots():
    """One slot is set aside; what comes new is sent to the rest."""
    async with new_batcher() as batcher:
        suspects = await lose(batcher, "ab")
        first, second = GatedExecutor(batcher, credits=4), GatedExecutor(batcher, credits=4)
        await all_blocked()
        others = [batcher.enqueue_nowait(item) for item in "xy"]
        await all_blocked()

        assert ([["a"]], [["x", "y"]]) == (first.batches, second.batches)
        for handle in (*suspects, *others):
            handle.cancel()


@virtual_time
async def test_busy_slot_is_set_aside_and_emptied_first():
    """The emptiest gets nothing more until it holds nothing; then the suspect, alone."""
    async with new_batcher() as batcher:
        busy = GatedExecutor(batcher, credits=2)
        running = batcher.enqueue_nowait("r")
        await all_blocked()
        (suspect,) = await lose(batcher, "a")
        later = batcher.enqueue_nowait("z")
        await all_blocked()
        assert [["r"]] == busy.batches

        busy.answer("r")
        await all_blocked()
        assert [["r"], ["a"]] == busy.batches
        busy.answer("a")
        await all_blocked()
        assert [["r"], ["a"], ["z"]] == busy.batches
        busy.answer("z")
        assert ["R", "A", "Z"] == [await handle.wait() for handle in (running, suspect, later)]


@virtual_time
async def test_poison_is_found_and_the_others_are_answered():
    """The second loss, alone, tells which item it was."""
    async with new_batcher() as batcher:
        handles = await lose(batcher, "pab")
        second = GatedExecutor(batcher, credits=4)
        await all_blocked()
        assert [["p"]] == second.batches
        second.slot.close("killed again")
        third = GatedExecutor(batcher, credits=4)
        for item in "ab":
            await all_blocked()
            third.answer(item)

        assert [["a"], ["b"]] == third.batches
        with pytest.raises(RetriesExhausted, match="2 executors were lost with it, the last: killed again"):
            await handles[0].wait()
        assert ["A", "B"] == [await handle.wait() for handle in handles[1:]]


@virtual_time
async def test_suspect_that_leaves_frees_the_slot():
    """Nothing is set aside for nobody."""
    async with new_batcher() as batcher:
        busy = GatedExecutor(batcher, credits=2)
        running = batcher.enqueue_nowait("r")
        await all_blocked()
        (suspect,) = await lose(batcher, "a")
        await all_blocked()
        suspect.cancel()
        busy.answer("r")
        next_one = batcher.enqueue_nowait("z")
        await all_blocked()

        assert [["r"], ["z"]] == busy.batches
        busy.answer("z")
        assert ["R", "Z"] == [await running.wait(), await next_one.wait()]


@virtual_time
async def test_slot_that_grants_nothing_any_more_is_not_used():
    """An executor that is being retired takes no suspect either."""
    async with new_batcher() as batcher:
        retiring = GatedExecutor(batcher, credits=2)
        running = batcher.enqueue_nowait("r")
        await all_blocked()
        (suspect,) = await lose(batcher, "a")
        await all_blocked()
        retiring.slot.grant(0)
        retiring.answer("r")
        await all_blocked()
        other = GatedExecutor(batcher, credits=1)
        await all_blocked()

        assert ([["r"]], [["a"]]) == (retiring.batches, other.batches)
        other.answer("a")
        assert ["R", "A"] == [await running.wait(), await suspect.wait()]


@virtual_time
async def test_an_item_that_an_executor_was_lost_with_before_runs_alone():
    """Whoever submits it may know so from an earlier job; the next loss tells that it is the cause."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=4)
        suspect = batcher.enqueue_nowait("p", losses=1)
        others = [batcher.enqueue_nowait(item) for item in "xy"]
        await all_blocked()
        assert [["p"]] == executor.batches

        executor.slot.close("killed")
        with pytest.raises(RetriesExhausted):
            await suspect.wait()
        for handle in others:
            handle.cancel()
