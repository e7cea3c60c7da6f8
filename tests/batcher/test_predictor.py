"""What the batcher expects of its slots, and whom it tells that it will be late."""

import asyncio

from batcher import WouldBeLate
from batcher.scheduling.service_time import Sample
from tests.fakes import GatedExecutor, all_blocked, new_batcher, now, pass_until, virtual_time


def measured_batcher(seconds, **policy):
    """Give a batcher that has seen each size run once."""
    batcher = new_batcher(**policy)
    for size, each in seconds.items():
        batcher.observe_batch(size, each)
    return batcher


def done_s(batcher, executor):
    """Give the seconds until an executor has done everything it holds."""
    return executor.slot.backlog(now(), batcher.cost_model).all_s(batcher.cost_model)


BATCHES = {1: 10.0, 2: 10.0, 4: 10.0}  # 10 s a batch of any size
ONE_BY_ONE = {1: 10.0, 2: 20.0}
LATER = [("near", 25.0), ("far", 60.0)]


@virtual_time
async def test_what_is_begun_is_apart_from_what_is_held():
    """One runs, three came while it ran: 6 s more for it, and 10 s for them together."""
    async with measured_batcher(BATCHES, max_batch=4) as batcher:
        executor = GatedExecutor(batcher, credits=4)
        handles = [batcher.enqueue_nowait("a")]
        await all_blocked()
        alone = done_s(batcher, executor)
        await pass_until(4.0)
        handles += [batcher.enqueue_nowait(item) for item in "bcd"]
        await all_blocked()

        assert [10.0, 16.0] == [alone, done_s(batcher, executor)]
        for handle in handles:
            handle.cancel()


async def answer_one_by_one(batcher, executors, count):
    """Let so many be answered in turns, each after 10 s."""
    for number in range(count):
        batcher.enqueue_nowait(f"w{number}", deadline=now() + 1000.0)
        await pass_until(now() + 10.0)
        for executor in executors:
            executor.answer(*executor.jobs)
        await all_blocked()


@virtual_time
async def test_when_a_slot_goes_those_are_told_who_will_be_late_without_it():
    """Two run and four wait, 35 s each, in time by two slots: with one, three are not."""
    async with measured_batcher(ONE_BY_ONE, max_batch=1) as batcher:
        executors = [GatedExecutor(batcher, credits=1), GatedExecutor(batcher, credits=1)]
        await answer_one_by_one(batcher, executors, 10)
        handles = [batcher.enqueue_nowait(item, deadline=now() + 35.0) for item in "abcdef"]
        waiters = [asyncio.ensure_future(handle.wait()) for handle in handles]
        await all_blocked()
        executors[0].slot.close("killed")
        await all_blocked()

        told = [waiter.exception() for waiter in waiters if waiter.done()]
        assert [WouldBeLate] * 3 == [type(error) for error in told]
        assert {"preempted": 3} == batcher.stats().dropped
        for waiter in waiters:
            waiter.cancel()


@virtual_time
async def test_while_no_slot_is_there_those_are_told_for_whom_the_next_comes_too_late():
    """The only one goes and another is expected in 20 s: of two that wait the one that is due in 25 s is told."""
    async with measured_batcher(ONE_BY_ONE, max_batch=1) as batcher:
        executor = GatedExecutor(batcher, credits=1)
        await answer_one_by_one(batcher, [executor], 10)
        executor.slot.grant(0)
        near, far = (asyncio.ensure_future(batcher.submit(item, deadline=now() + within)) for item, within in LATER)
        await all_blocked()
        batcher.expect_executor(now() + 20.0)
        executor.slot.close("killed")
        await all_blocked()

        assert (WouldBeLate, False) == (type(near.exception()), far.done())
        far.cancel()


@virtual_time
async def test_whoever_waits_for_an_executor_that_comes_later_than_expected_is_told_at_once():
    """Expected in 2 s, then in 20: the one that is due in 25 s waits on, the other need not wait for its deadline."""
    async with measured_batcher(ONE_BY_ONE, max_batch=1) as batcher:
        executor = GatedExecutor(batcher, credits=1)
        await answer_one_by_one(batcher, [executor], 10)
        executor.slot.close("killed")
        batcher.expect_executor(now() + 2.0)
        near, far = (asyncio.ensure_future(batcher.submit(item, deadline=now() + within)) for item, within in LATER)
        await all_blocked()
        assert not near.done()
        batcher.expect_executor(now() + 20.0)
        await all_blocked()

        assert (WouldBeLate, False) == (type(near.exception()), far.done())
        far.cancel()


@virtual_time
async def test_what_was_predicted_with_other_slots_teaches_nothing():
    """Of two that run as a slot goes, the one that is left is answered late, and no error is learned."""
    async with measured_batcher(ONE_BY_ONE, max_batch=1) as batcher:
        executors = [GatedExecutor(batcher, credits=1), GatedExecutor(batcher, credits=1)]
        await answer_one_by_one(batcher, executors, 10)
        before = batcher.stats().prediction_errors
        handles = [batcher.enqueue_nowait(item, deadline=now() + 99.0) for item in "ab"]
        await pass_until(now() + 1.0)
        executors[0].slot.close("killed")
        await pass_until(now() + 40.0)
        executors[1].answer(*executors[1].jobs)
        await all_blocked()

        assert before == batcher.stats().prediction_errors
        for handle in handles:
            handle.cancel()


def run_at(batcher, each_s, count):
    """Let the batcher see so many images that took so long each."""
    for _ in range(count):
        batcher._service_times.observe(Sample(each_s, 0.0, 1))
    batcher._dispatcher.wake()


@virtual_time
async def test_each_slowdown_is_seen_also_one_after_a_recovery():
    """Half the speed, whole, half again: each time the one that waits, 15 s before its deadline, is told at once."""
    async with measured_batcher(ONE_BY_ONE, max_batch=1) as batcher:
        GatedExecutor(batcher)
        dropped = []
        for _ in range(2):
            run_at(batcher, 10.0, 8)
            await all_blocked()
            waiter = asyncio.ensure_future(batcher.submit("a", deadline=now() + 15.0))
            await pass_until(now() + 0.1)
            run_at(batcher, 20.0, 2)
            await all_blocked()
            dropped.append(waiter.done() and type(waiter.exception()))

        assert [WouldBeLate, WouldBeLate] == dropped


@virtual_time
async def test_who_has_no_deadline_teaches_nothing():
    """For it nothing was predicted."""
    async with measured_batcher(ONE_BY_ONE, max_batch=1) as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a", deadline=1e9)
        await pass_until(10.0)
        executor.answer("a")
        before = batcher.stats().prediction_errors
        endless = batcher.enqueue_nowait("b", deadline=float("inf"))
        await pass_until(50.0)
        executor.answer("b")

        assert ["A", "B"] == [await handle.wait(), await endless.wait()]
        assert before == batcher.stats().prediction_errors


@virtual_time
async def test_that_others_join_its_batch_is_no_error():
    """Three join one that waits, and all are answered together: later than it alone would have been."""
    async with measured_batcher({1: 10.0, 2: 11.0, 4: 13.0}, max_batch=4) as batcher:
        executor = GatedExecutor(batcher, credits=5)
        handles = [batcher.enqueue_nowait("a")]
        await pass_until(1.0)
        for item in "bcde":
            handles.append(batcher.enqueue_nowait(item))
            await all_blocked()
        await pass_until(10.0)
        executor.answer("a")
        await pass_until(23.0)
        executor.answer(*"bcde")

        assert [*"ABCDE"] == [await handle.wait() for handle in handles]
        assert (5, 0.0) == (sum(batcher.stats().prediction_errors.counts), batcher.stats().prediction_errors.sum_s)


@virtual_time
async def test_when_batches_become_smaller_what_larger_ones_took_is_forgotten():
    """Eight in a batch take 20 ms, one after the other 80 ms: the eighth, which has 50 ms, is refused."""
    async with measured_batcher({1: 0.010, 8: 0.020}, max_batch=8) as batcher:
        GatedExecutor(batcher, credits=1)
        handles = [batcher.enqueue_nowait(n) for n in range(7)]
        before = batcher.refusal(deadline=now() + 0.05)
        batcher.limit_batch(1)

        assert (None, WouldBeLate) == (before, type(batcher.refusal(deadline=now() + 0.05)))
        assert (1, 1) == (batcher.policy.max_batch, batcher.cost_model.batch)
        for handle in handles:
            handle.cancel()
