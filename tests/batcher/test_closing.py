"""How a batcher ends: in order, in a hurry, or by an accident of its own. Nobody is left waiting."""

import asyncio

import pytest

from batcher import BatcherClosed, DeadlineExceeded
from tests.fakes import GatedExecutor, GatedModel, all_blocked, new_batcher, now, virtual_time


class Accident(Exception):
    """Something that goes wrong in these tests."""


class BrokenRunner(GatedExecutor):
    """An executor that breaks the rule that `send` must not raise."""

    def send(self, jobs):
        raise Accident


async def opened_and_closed(batcher, leave):
    """Hold a batcher open until told; give what leaving it raised."""
    async with batcher:
        await leave.wait()


async def error_of(waiting):
    """Give what a waiter gets in place of an answer."""
    with pytest.raises((BatcherClosed, DeadlineExceeded)) as error:
        await waiting
    return error.value


@virtual_time
async def test_leaving_an_idle_batcher():
    """There is nothing to wait for, also right after it was entered."""
    async with new_batcher() as batcher:
        pass

    assert 0.0 == now()
    with pytest.raises(BatcherClosed):
        batcher.check_open()


@virtual_time
async def test_leaving_finishes_what_was_accepted():
    """What runs and what waits is answered before the `async with` ends."""
    model, leave = GatedModel(), asyncio.Event()
    batcher = new_batcher(model, max_batch=1)
    closing = asyncio.create_task(opened_and_closed(batcher, leave))
    await all_blocked()
    handles = [batcher.enqueue_nowait(item) for item in "ab"]
    leave.set()
    await all_blocked()
    model.finish(0)
    await all_blocked()

    assert not closing.done()
    model.finish(1)
    await closing
    assert ["A", "B"] == [await handle.wait() for handle in handles]


@virtual_time
async def test_a_closing_batcher_refuses():
    """Whoever comes now is told so, and counted."""
    leave = asyncio.Event()
    batcher = new_batcher()
    closing = asyncio.create_task(opened_and_closed(batcher, leave))
    await all_blocked()
    executor = GatedExecutor(batcher, credits=1)
    handle = batcher.enqueue_nowait("a")
    leave.set()
    await all_blocked()

    with pytest.raises(BatcherClosed, match="the batcher is closing"):
        batcher.enqueue_nowait("b")
    assert {"closed": 1} == batcher.stats().refused
    executor.answer("a")
    await closing
    await handle.wait()


@virtual_time
async def test_leaving_waits_no_longer_than_the_last_deadline():
    """What no executor takes expires."""
    async with new_batcher() as batcher:
        GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a", deadline=5.0)

    assert 5.0 == now()
    assert DeadlineExceeded is type(await error_of(handle.wait()))


@virtual_time
async def test_leaving_lets_a_running_batch_finish():
    """Even if nobody waits for it any more: what it uses may be closed next."""
    model, leave = GatedModel(), asyncio.Event()
    batcher = new_batcher(model)
    closing = asyncio.create_task(opened_and_closed(batcher, leave))
    await all_blocked()
    handle = batcher.enqueue_nowait("a")
    await all_blocked()
    handle.cancel()
    leave.set()
    await all_blocked()

    assert not closing.done()
    model.finish(0)
    await closing


@virtual_time
async def test_draining_comes_before_closing():
    """An owner may wait for the items, and close later; new ones are refused meanwhile."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        drained = asyncio.create_task(batcher.drain())
        await all_blocked()

        assert not drained.done()
        with pytest.raises(BatcherClosed):
            batcher.check_open()
        executor.answer("a")
        await drained
        assert "A" == await handle.wait()


@virtual_time
async def test_a_retry_is_still_served_while_draining():
    """It was accepted before."""
    async with new_batcher() as batcher:
        dying, other = GatedExecutor(batcher, credits=1), GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a")
        drained = asyncio.create_task(batcher.drain())
        await all_blocked()
        dying.slot.close("killed")
        other.slot.grant(1)
        await all_blocked()
        other.answer("a")

        await drained
        assert "A" == await handle.wait()


@virtual_time
async def test_a_drain_that_is_given_up_leaves_the_batcher_closed():
    """Nobody comes in after it has begun."""
    async with new_batcher() as batcher:
        GatedExecutor(batcher)
        handle = batcher.enqueue_nowait("a")
        drained = asyncio.create_task(batcher.drain())
        await all_blocked()
        drained.cancel()
        await all_blocked()

        with pytest.raises(BatcherClosed):
            batcher.check_open()
        handle.cancel()


@virtual_time
async def test_closing_that_is_given_up_settles_everybody():
    """The task that closes is cancelled while it waits for the queue."""
    leave = asyncio.Event()
    batcher = new_batcher()
    closing = asyncio.create_task(opened_and_closed(batcher, leave))
    await all_blocked()
    GatedExecutor(batcher)
    handle = batcher.enqueue_nowait("a")
    leave.set()
    await all_blocked()
    closing.cancel()
    await asyncio.wait([closing])

    assert closing.cancelled()
    assert BatcherClosed is type(await error_of(handle.wait()))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@virtual_time
async def test_an_error_in_the_body_settles_everybody(turns):
    """However soon after the start it comes: each waiter gets an exception of its own, and no time passes."""
    batcher = new_batcher()
    handles = []
    with pytest.RaisesGroup(Accident):
        async with batcher:
            executor = GatedExecutor(batcher, credits=1)
            handles += [batcher.enqueue_nowait(item) for item in "ab"]
            for _ in range(turns):
                await asyncio.sleep(0)
            raise Accident

    errors = [await error_of(handle.wait()) for handle in handles]
    assert [BatcherClosed, BatcherClosed] == [type(error) for error in errors]
    assert errors[0] is not errors[1]
    assert (0, 0, 2, 0.0) == (batcher.stats().waiting, batcher.stats().running, batcher.stats().failed, now())
    assert [item for batch in executor.batches for item in batch] == executor.dropped


@virtual_time
async def test_an_error_in_the_body_closes_the_batcher():
    """Also one that was never used."""
    batcher = new_batcher()
    with pytest.RaisesGroup(Accident):
        async with batcher:
            GatedExecutor(batcher)
            raise Accident

    with pytest.raises(BatcherClosed):
        batcher.enqueue_nowait("a")


@virtual_time
async def test_an_error_in_the_body_cancels_a_running_batch():
    """Its waiters are told that the batcher closed, not that their batch failed."""
    model = GatedModel()
    batcher = new_batcher(model)
    with pytest.RaisesGroup(Accident):
        async with batcher:
            handle = batcher.enqueue_nowait("a")
            await all_blocked()
            raise Accident

    assert [["a"]] == model.batches
    assert BatcherClosed is type(await error_of(handle.wait()))


@virtual_time
async def test_an_executor_that_raises_ends_the_batcher():
    """The loop cannot go on, so nobody may believe that it does: the `async with` raises, all are settled."""
    batcher = new_batcher()
    handles = []
    with pytest.RaisesGroup(Accident):
        async with batcher:
            executor = BrokenRunner(batcher)
            handles += [batcher.enqueue_nowait(item) for item in "ab"]
            executor.slot.grant(1)
            await asyncio.Event().wait()

    assert [BatcherClosed] * 2 == [type(await error_of(handle.wait())) for handle in handles]
    with pytest.raises(BatcherClosed):
        batcher.enqueue_nowait("c")


@virtual_time
async def test_an_executor_that_raises_settles_at_once():
    """Not only when the body has ended, which may take its time."""
    batcher = new_batcher()
    with pytest.RaisesGroup(Accident):
        async with batcher:
            executor = BrokenRunner(batcher)
            handle = batcher.enqueue_nowait("a")
            executor.slot.grant(1)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.Event().wait()

            assert BatcherClosed is type(await error_of(handle.wait()))
            with pytest.raises(BatcherClosed):
                batcher.check_open()


@virtual_time
async def test_an_executor_that_raises_ends_a_drain():
    """Leaving in order turns into an error."""
    batcher = new_batcher()
    with pytest.RaisesGroup(Accident):
        async with batcher:
            executor = BrokenRunner(batcher)
            handle = batcher.enqueue_nowait("a")
            executor.slot.grant(1)

    assert BatcherClosed is type(await error_of(handle.wait()))


@virtual_time
async def test_who_left_just_before_the_end_is_cancelled():
    """Its task has not run yet; it is not given an error nobody reads."""
    batcher = new_batcher()
    with pytest.RaisesGroup(Accident):
        async with batcher:
            GatedExecutor(batcher)
            task = asyncio.create_task(batcher.submit("a"))
            await all_blocked()
            task.cancel()
            raise Accident
    await asyncio.wait([task])

    assert (0, {"waiting": 1}) == (batcher.stats().failed, batcher.stats().cancelled)
