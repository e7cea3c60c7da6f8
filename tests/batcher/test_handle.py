"""Who holds a handle: waiting, taking the item back, moving it forward."""

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from batcher import DeadlineExceeded, Failed, Result
from batcher.job import Stage
from tests.fakes import GatedExecutor, all_blocked, new_batcher, now, pass_until, virtual_time


@virtual_time
async def test_the_stage_of_an_item():
    """It waits, it runs, it is settled."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a")
        stages = [handle.stage]
        executor.slot.grant(1)
        await all_blocked()
        stages.append(handle.stage)
        executor.answer("a")

        assert [Stage.WAITING, Stage.RUNNING, Stage.SETTLED] == [*stages, handle.stage]
        assert "A" == await handle.wait()


@virtual_time
async def test_cancelled_while_waiting():
    """It leaves the queue at once, and is never sent."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a", size=7)

        assert handle.cancel()
        assert (0, 0, {"waiting": 1}) == (
            batcher.stats().waiting,
            batcher.stats().held_bytes,
            batcher.stats().cancelled,
        )
        executor.slot.grant(1)
        await all_blocked()
        assert ([], []) == (executor.batches, executor.dropped)


@virtual_time
async def test_cancelled_just_before_it_would_be_sent():
    """Tasks cancelled in the same turn of the loop have not run yet; they are skipped, however many."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        leavers = [asyncio.create_task(batcher.submit(item)) for item in "abc"]
        stayer = asyncio.create_task(batcher.submit("d"))
        await all_blocked()
        executor.slot.grant(1)
        for task in leavers:
            task.cancel()
        await all_blocked()

        assert ([["d"]], {"waiting": 3}) == (executor.batches, batcher.stats().cancelled)
        executor.answer("d")
        assert "D" == await stayer


@virtual_time
async def test_cancelled_while_running():
    """The executor is told, and the neighbour in the batch gets its answer."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=2)
        leaver = asyncio.create_task(batcher.submit("a"))
        stayer = asyncio.create_task(batcher.submit("b"))
        await all_blocked()
        leaver.cancel()
        await all_blocked()

        assert (["a"], {"running": 1}) == (executor.dropped, batcher.stats().cancelled)
        executor.answer("a", "b")
        assert "B" == await stayer
        assert leaver.cancelled()


@virtual_time
async def test_only_the_executor_that_holds_it_is_told():
    """The others have nothing to do with it."""
    async with new_batcher() as batcher:
        holder, other = GatedExecutor(batcher, credits=1), GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        handle.cancel()

        assert (["a"], []) == (holder.dropped, other.dropped)
        holder.answer("a")


@virtual_time
async def test_a_dropped_item_holds_its_room_until_its_outcome():
    """The executor may be busy with it: only it can say when it no longer is."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        dropped = batcher.enqueue_nowait("a")
        await all_blocked()
        dropped.cancel()
        handle = batcher.enqueue_nowait("b")
        await all_blocked()
        before = list(executor.batches)
        executor.answer("a")
        await all_blocked()

        assert ([["a"]], [["a"], ["b"]]) == (before, executor.batches)
        executor.answer("b")
        await handle.wait()


@pytest.mark.parametrize("outcome", [Result("A"), Failed(ValueError())])
@virtual_time
async def test_an_outcome_nobody_waits_for_is_dropped(outcome):
    """It is counted as cancelled, once."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        handle.cancel()
        executor.finish("a", outcome)

        assert (0, 0, {"running": 1}) == (
            batcher.stats().answered,
            batcher.stats().failed,
            batcher.stats().cancelled,
        )


@virtual_time
async def test_an_answered_item_cannot_be_taken_back():
    """The answer is there."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        executor.answer("a")

        assert not handle.cancel()
        assert "A" == await handle.wait()


@virtual_time
async def test_cancelled_in_the_turn_of_its_answer():
    """The answer came first: it counts, and nothing is counted twice."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        task = asyncio.create_task(batcher.submit("a"))
        await all_blocked()
        executor.answer("a")
        task.cancel()
        await all_blocked()

        assert (1, {}, True) == (batcher.stats().answered, batcher.stats().cancelled, task.cancelled())


@pytest.mark.parametrize(
    "forward", [{"deadline": 1.5}, {"urgency": 0}, {"deadline": 90.0, "urgency": 2}], ids=lambda kind: "+".join(kind)
)
@virtual_time
async def test_an_item_is_moved_forward(forward):
    """It is served as if it had come with that deadline or urgency."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        first = batcher.enqueue_nowait("a", deadline=80.0)
        second = batcher.enqueue_nowait("b", deadline=90.0)
        second.advance(**forward)
        executor.slot.grant(1)
        await all_blocked()

        assert ([["b"]], 1) == (executor.batches, batcher.stats().waiting)
        second.cancel()
        first.cancel()


@pytest.mark.parametrize(
    "backward", [{}, {"deadline": 95.0}, {"urgency": 7}, {"deadline": 95.0, "urgency": 7}], ids=str
)
@virtual_time
async def test_an_item_is_never_moved_back(backward):
    """A later deadline or a lower urgency changes nothing."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        first = batcher.enqueue_nowait("a", deadline=80.0)
        second = batcher.enqueue_nowait("b", deadline=90.0)
        first.advance(**backward)
        executor.slot.grant(1)
        await all_blocked()

        assert [["a"]] == executor.batches
        first.cancel()
        second.cancel()


@virtual_time
async def test_an_item_moved_forward_expires_when_it_would_have():
    """Only its place changes."""
    async with new_batcher() as batcher:
        GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a", deadline=9.0)
        handle.advance(deadline=3.0)

        with pytest.raises(DeadlineExceeded):
            await handle.wait()
        assert 9.0 == now()


@virtual_time
async def test_a_running_item_is_not_moved():
    """It has left the queue."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        handle.advance(urgency=0)

        assert (0, 1) == (batcher.stats().waiting, batcher.stats().running)
        executor.answer("a")
        assert "A" == await handle.wait()


class Item:
    """One that can be referred to weakly."""


@virtual_time
async def test_an_item_that_expires_is_gone_once_its_waiter_has_been_told():
    """Its bytes do not wait for the collector, which comes when it likes."""
    async with new_batcher() as batcher:
        GatedExecutor(batcher, credits=0)
        gc.disable()
        try:
            gone = weakref.ref(item := Item())
            handle = batcher.enqueue_nowait(item, deadline=now() + 1.0)
            del item
            with suppress(DeadlineExceeded):
                await handle.wait()
            del handle
            await all_blocked()
            assert gone() is None
        finally:
            gc.enable()


@virtual_time
async def test_rescheduled_to_expire_later():
    """What somebody else still waits for outlives its first deadline, waiting or running."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a", deadline=5.0)
        handle.reschedule(deadline=5.0, expires=9.0, urgency=3)
        await pass_until(6.0)
        executor.slot.grant(1)
        await all_blocked()
        executor.answer("a")

        assert "A" == await handle.wait()


@virtual_time
async def test_rescheduled_to_expire_sooner():
    """Its timer follows, and it ends when the last waiter would stop waiting."""
    async with new_batcher() as batcher:
        GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a", deadline=9.0)
        handle.reschedule(deadline=5.0, expires=5.0, urgency=3)

        with pytest.raises(DeadlineExceeded):
            await handle.wait()
        assert 5.0 == now()


@virtual_time
async def test_rescheduled_back_and_forth():
    """It stands where its terms of now put it, not where the most urgent of former waiters did."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        first, second = batcher.enqueue_nowait("a", deadline=5.0), batcher.enqueue_nowait("b", deadline=6.0)
        second.reschedule(deadline=4.0, expires=9.0, urgency=3)
        second.reschedule(deadline=9.0, expires=9.0, urgency=3)
        executor.slot.grant(2)
        await all_blocked()
        executor.answer("a", "b")

        assert [["a", "b"]] == executor.batches
        assert ["A", "B"] == [await first.wait(), await second.wait()]


@virtual_time
async def test_an_answer_is_told_and_taken():
    """Whoever holds a handle for others need not be a task of its own."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        told = []
        handle.notify(lambda: told.append(handle.take()))
        await all_blocked()
        executor.answer("a")
        await all_blocked()

        assert ["A"] == told
