"""Executors at their slots: room, and what happens to the items of one that dies."""

import pytest

from batcher import Again, BatcherClosed, DeadlineExceeded, RetriesExhausted
from tests.fakes import GatedExecutor, all_blocked, new_batcher, now, pass_until, virtual_time


@virtual_time
async def test_a_new_slot_is_sent_nothing():
    """It has to grant room first."""
    async with new_batcher() as batcher:
        slot = batcher.attach(GatedExecutor(batcher))
        handle = batcher.enqueue_nowait("a")
        await all_blocked()

        assert (0, set()) == (slot.free_credits, slot.held)
        slot.grant(1)
        assert 1 == slot.free_credits
        handle.cancel()


@virtual_time
async def test_room_is_what_was_granted_less_what_is_held():
    """An executor that has room left is sent more while it works."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=3)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        handles += [batcher.enqueue_nowait(item) for item in "cd"]
        await all_blocked()

        assert ([["a", "b"], ["c"]], 0) == (executor.batches, executor.slot.free_credits)
        executor.answer("a", "b", "c")
        await all_blocked()
        executor.answer("d")
        assert ["A", "B", "C", "D"] == [await handle.wait() for handle in handles]


@virtual_time
async def test_a_smaller_grant_takes_nothing_back():
    """There is no room until what is held is less."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item) for item in "abc"]
        await all_blocked()
        executor.slot.grant(1)
        rooms = [executor.slot.free_credits]
        executor.answer("a")
        rooms.append(executor.slot.free_credits)
        executor.answer("b")

        assert [0, 0, 1] == [*rooms, executor.slot.free_credits]
        await all_blocked()
        executor.answer("c")
        assert ["A", "B", "C"] == [await handle.wait() for handle in handles]


@virtual_time
async def test_an_job_that_is_not_held_cannot_be_finished():
    """An executor that reports twice is broken, and hears of it."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        (job,) = executor.slot.held
        executor.answer("a")

        with pytest.raises(KeyError):
            executor.slot.finish(job, Again("twice"))
        assert "A" == await handle.wait()


@virtual_time
async def test_what_a_dead_executor_held_is_tried_one_by_one_at_another():
    """Any of them may have killed it; the waiters do not notice."""
    async with new_batcher() as batcher:
        dying = GatedExecutor(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        dying.slot.close("killed")
        other = GatedExecutor(batcher, credits=2)
        await all_blocked()
        assert ([["a"]], 2) == (other.batches, batcher.stats().retried)
        other.answer("a")
        await all_blocked()

        assert [["a"], ["b"]] == other.batches
        other.answer("b")
        assert ["A", "B"] == [await handle.wait() for handle in handles]


@virtual_time
async def test_a_retry_keeps_its_place():
    """What came later stays behind it."""
    async with new_batcher() as batcher:
        dying, other = GatedExecutor(batcher, credits=1), GatedExecutor(batcher)
        handles = [batcher.enqueue_nowait(item, deadline=50.0) for item in "ab"]
        await all_blocked()
        dying.slot.close("killed")
        other.slot.grant(1)
        await all_blocked()

        assert [["a"]] == other.batches
        for handle in handles:
            handle.cancel()


@virtual_time
async def test_a_retry_keeps_age_and_deadline():
    """It is as old as it is, and ends when it would have."""
    async with new_batcher() as batcher:
        dying = GatedExecutor(batcher, credits=1)
        await pass_until(1.0)
        handle = batcher.enqueue_nowait("a", deadline=9.0)
        await pass_until(5.0)
        dying.slot.close("killed")

        assert (4.0, 1, 0) == (batcher.stats().oldest_s, batcher.stats().waiting, batcher.stats().running)
        with pytest.raises(DeadlineExceeded, match="while the item was waiting"):
            await handle.wait()
        assert 9.0 == now()


@virtual_time
async def test_an_executor_may_give_one_item_back():
    """Its slot stays, and may be sent the item again."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        executor.finish("a", Again("no memory"))
        await all_blocked()

        assert [["a", "b"], ["a"]] == executor.batches
        executor.answer("a", "b")
        assert ["A", "B"] == [await handle.wait() for handle in handles]


@virtual_time
async def test_an_item_is_sent_no_more_often_than_the_policy_allows():
    """Then it fails, with the number of attempts and the last reason."""
    async with new_batcher(max_losses=2) as batcher:
        executors = [GatedExecutor(batcher) for _ in range(3)]
        handle = batcher.enqueue_nowait("a")
        for executor, reason in zip(executors, ("killed", "killed again"), strict=False):
            executor.slot.grant(1)
            await all_blocked()
            executor.slot.close(reason)
        executors[2].slot.grant(1)
        await all_blocked()

        assert ([], 1, 1) == (executors[2].batches, batcher.stats().retried, batcher.stats().failed)
        with pytest.raises(RetriesExhausted, match="2 executors were lost with it, the last: killed again"):
            await handle.wait()


@virtual_time
async def test_each_waiter_gets_an_exception_of_its_own():
    """A shared one would collect the tracebacks of all."""
    async with new_batcher(max_losses=1) as batcher:
        executor = GatedExecutor(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        executor.slot.close("killed")

        errors = [await error_of(handle) for handle in handles]
        assert [RetriesExhausted, RetriesExhausted] == [type(error) for error in errors]
        assert errors[0] is not errors[1]


async def error_of(handle):
    """Give the error a waiter gets."""
    with pytest.raises(RetriesExhausted) as error:
        await handle.wait()
    return error.value


class HastyExecutor(GatedExecutor):
    """An executor that gives an item back at once when nobody waits for it any more."""

    def drop(self, job):
        self.finish(job.item, Again("skipped"))


@virtual_time
async def test_an_executor_may_give_back_at_once_what_was_cancelled():
    """From within the call that tells it: the item has ended, and is not queued again."""
    async with new_batcher() as batcher:
        HastyExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        handle.cancel()

        assert ({"running": 1}, 0, 0) == (
            batcher.stats().cancelled,
            batcher.stats().waiting,
            batcher.stats().retried,
        )


@virtual_time
async def test_an_executor_may_give_back_at_once_what_was_aborted():
    """A batcher that ends in a hurry leaves nothing in its queue either."""
    batcher = new_batcher()
    with pytest.RaisesGroup(OSError):
        async with batcher:
            HastyExecutor(batcher, credits=1)
            handle = batcher.enqueue_nowait("a")
            await all_blocked()
            raise OSError

    assert (1, 0, 0) == (batcher.stats().failed, batcher.stats().waiting, batcher.stats().retried)
    with pytest.raises(BatcherClosed):
        await handle.wait()


@virtual_time
async def test_who_has_left_is_not_retried():
    """Nobody waits for it."""
    async with new_batcher() as batcher:
        executor, other = GatedExecutor(batcher, credits=1), GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        handle.cancel()
        executor.slot.close("killed")
        other.slot.grant(1)
        await all_blocked()

        assert ([], 0, 0) == (other.batches, batcher.stats().retried, batcher.stats().waiting)


@virtual_time
async def test_a_closed_slot_is_gone():
    """It gives no room, holds nothing, and a late grant changes nothing."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        executor.slot.close("killed")
        executor.slot.grant(8)
        await all_blocked()

        assert ([["a"]], 0, 0) == (executor.batches, batcher.stats().executors, len(executor.slot.held))
        handle.cancel()


@virtual_time
async def test_repr_shows_what_it_holds():
    """And what more it would take."""
    batcher = new_batcher()

    assert "Slot(held=0, free_credits=3)" == repr(GatedExecutor(batcher, credits=3).slot)


@virtual_time
async def test_an_executor_teaches_the_profile():
    """What its batches took is known to all."""
    batcher = new_batcher()
    GatedExecutor(batcher).slot.observe_batch(4, 2.0)

    assert 2.0 == batcher.cost_model.run_s(4)


@virtual_time
async def test_suspended_slot_is_not_counted_on_and_still_owes_what_it_holds():
    """Nothing more is sent to it, it is no executor that is ready, and its waiters are told when they leave or are
    answered. When it resumes, it takes what waits."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        executor.slot.suspend()
        assert 0 == batcher.executors
        batcher.expect_executor(now())
        handles.append(batcher.enqueue_nowait("c"))
        handles[1].cancel()
        executor.answer("a")
        await all_blocked()

        assert ("A", [["a", "b"]]) == (await handles[0].wait(), executor.batches)
        assert ["b"] == executor.dropped
        executor.slot.resume()
        await all_blocked()
        executor.answer("c")
        assert "C" == await handles[2].wait()


@virtual_time
async def test_job_that_is_taken_back_goes_to_another_slot():
    """With nothing held against it: its executor is not lost."""
    async with new_batcher(max_losses=1) as batcher:
        silent, other = GatedExecutor(batcher, credits=1), GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        (job,) = silent.slot.held
        silent.slot.suspend()
        silent.slot.take_back(job, "silent")
        await all_blocked()

        other.answer("a")
        assert ("A", set()) == (await handle.wait(), silent.slot.held)
