"""The batcher as a whole: who is served first, by whom, and who is refused."""

import asyncio

import pytest

from batcher import Batcher, DeadlineExceeded, Failed, NoExecutor, QueueFull, Unmeetable, WouldBeLate
from tests.fakes import GatedExecutor, GatedModel, all_blocked, new_batcher, now, pass_until, virtual_time


def take_back(handles):
    """Cancel what has not ended, so that the batcher can close."""
    for handle in handles:
        handle.cancel()


async def paced_executor(batcher, seconds):
    """Give an executor without room that has answered one item in so many seconds."""
    executor = GatedExecutor(batcher, credits=1)
    handle = batcher.enqueue_nowait("pace")
    await pass_until(seconds)
    executor.slot.grant(0)
    executor.answer("pace")
    await handle.wait()
    return executor


@virtual_time
async def test_an_item_is_answered():
    """The simple use: a callable, and `submit`."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        task = asyncio.create_task(batcher.submit("a"))
        await all_blocked()
        model.finish(0)

        assert "A" == await task


def test_on_the_ordinary_loop_and_clock():
    """Nothing depends on the loop of these tests."""

    async def upper(items):
        return [item.upper() for item in items]

    async def main():
        async with Batcher(upper) as batcher:
            return await asyncio.gather(*(batcher.submit(item) for item in "abc"))

    assert ["A", "B", "C"] == asyncio.run(main())


@virtual_time
async def test_an_item_may_fail_alone():
    """Its waiter gets the very error the executor reported; the neighbour its answer."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=2)
        bad, good = batcher.enqueue_nowait("a"), batcher.enqueue_nowait("b")
        await all_blocked()
        executor.finish("a", Failed(ValueError("not an image")))
        executor.answer("b")

        with pytest.raises(ValueError, match="not an image"):
            await bad.wait()
        assert "B" == await good.wait()


# ---- Order ----


@virtual_time
async def test_order_is_urgency_then_deadline_then_arrival():
    """Whatever order they came in."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher)
        handles = [
            batcher.enqueue_nowait("f", urgency=7, deadline=10.0),
            batcher.enqueue_nowait("d", deadline=50.0),
            batcher.enqueue_nowait("e", deadline=50.0),
            batcher.enqueue_nowait("c", deadline=40.0),
            batcher.enqueue_nowait("b", urgency=0, deadline=90.0),
            batcher.enqueue_nowait("a", urgency=0, deadline=80.0),
        ]
        executor.slot.grant(6)
        await all_blocked()

        assert [["a", "b", "c", "d", "e", "f"]] == executor.batches
        take_back(handles)


@virtual_time
async def test_an_item_is_due_by_the_slo_where_it_names_no_deadline():
    """Counted from when it came."""
    async with new_batcher(slo_s=5.0) as batcher:
        GatedExecutor(batcher)
        await pass_until(2.0)

        with pytest.raises(DeadlineExceeded):
            await batcher.submit("a")
        assert 7.0 == now()


# ---- Slots ----


@virtual_time
async def test_items_are_shared_among_free_slots():
    """Two executors side by side end sooner than one with all of it."""
    async with new_batcher() as batcher:
        executors = [GatedExecutor(batcher, credits=8), GatedExecutor(batcher, credits=8)]
        handles = [batcher.enqueue_nowait(item) for item in "abcde"]
        await all_blocked()

        assert ([["a", "b", "c"]], [["d", "e"]]) == (executors[0].batches, executors[1].batches)
        executors[0].answer(*"abc")
        executors[1].answer(*"de")
        for handle in handles:
            await handle.wait()


@virtual_time
async def test_the_roomiest_slot_comes_first():
    """It is the least busy."""
    async with new_batcher() as batcher:
        small, large = GatedExecutor(batcher, credits=2), GatedExecutor(batcher, credits=3)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()

        assert ([], [["a"]]) == (small.batches, large.batches)
        large.answer("a")
        await handle.wait()


@virtual_time
async def test_nobody_waits_while_any_slot_has_room():
    """All room is used, in batches as large as the policy allows."""
    async with new_batcher(max_batch=2) as batcher:
        executors = [GatedExecutor(batcher, credits=4), GatedExecutor(batcher, credits=1)]
        handles = [batcher.enqueue_nowait(item) for item in "abcdef"]
        await all_blocked()

        assert ([["a", "b"], ["c", "d"]], [["e"]]) == (executors[0].batches, executors[1].batches)
        assert 1 == batcher.stats().waiting
        for handle in handles:
            handle.cancel()


# ---- Admission ----


@virtual_time
async def test_only_so_many_may_wait():
    """The next one is refused, with the time until a place falls free, and those after it with one place more each."""
    async with new_batcher(max_queue=2) as batcher:
        await paced_executor(batcher, 2.0)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]

        with pytest.raises(QueueFull, match="2 items wait already") as refusal:
            batcher.enqueue_nowait("c")
        with pytest.raises(QueueFull) as next_refusal:
            batcher.enqueue_nowait("d")
        assert (2.0, 4.0) == (refusal.value.retry_after_s, next_refusal.value.retry_after_s)
        assert {"queue_full": 2} == batcher.stats().refused
        take_back(handles)


@virtual_time
async def test_a_deadline_that_an_idle_executor_misses_is_never_met():
    """Waiting would not help, so the refusal says the shortest time, and no time to come back."""
    async with new_batcher() as batcher:
        batcher.observe_batch(1, 2.0)
        GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()

        with pytest.raises(Unmeetable) as refusal:
            batcher.enqueue_nowait("b", deadline=now() + 1.0)
        assert (2.0, float("inf")) == (refusal.value.shortest_s, refusal.value.retry_after_s)
        take_back([handle])


@virtual_time
async def test_running_items_do_not_count_as_waiting():
    """They have left the queue."""
    async with new_batcher(max_queue=1) as batcher:
        GatedExecutor(batcher, credits=1)
        handles = [batcher.enqueue_nowait("a")]
        await all_blocked()
        handles.append(batcher.enqueue_nowait("b"))

        assert (1, 1) == (batcher.stats().running, batcher.stats().waiting)
        take_back(handles)


@virtual_time
async def test_bytes_are_held_until_the_answer():
    """Also while an item runs: a retry needs them."""
    async with new_batcher(max_queue_bytes=10) as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a", size=6)
        await all_blocked()

        assert 6 == batcher.stats().held_bytes
        with pytest.raises(QueueFull, match="6 bytes are held already"):
            batcher.enqueue_nowait("b", size=5)
        executor.answer("a")
        assert 0 == batcher.stats().held_bytes
        await handle.wait()


@virtual_time
async def test_an_item_that_names_no_cost_and_no_size_has_none():
    """It is in time, however soon it is due, and it fits where not a byte is left."""
    async with new_batcher(max_queue_bytes=6) as batcher:
        GatedExecutor(batcher)
        handles = [batcher.enqueue_nowait("a", size=6), batcher.enqueue_nowait("b", deadline=0.25)]
        task = asyncio.create_task(batcher.submit("c", deadline=0.25))
        await all_blocked()
        batcher.check_open()

        assert (3, 6) == (batcher.stats().waiting, batcher.stats().held_bytes)
        task.cancel()
        take_back(handles)


@virtual_time
async def test_an_item_that_would_be_late_is_refused():
    """At 2 s an item, with one running and one waiting before it, it ends at 6 s and not at 5."""
    async with new_batcher() as batcher:
        executor = await paced_executor(batcher, 2.0)
        executor.slot.grant(1)
        handles = [batcher.enqueue_nowait("a")]
        await all_blocked()
        handles.append(batcher.enqueue_nowait("b", urgency=0))

        with pytest.raises(WouldBeLate) as refusal:
            batcher.enqueue_nowait("c", deadline=now() + 5.0)
        assert (1.6, {"would_be_late": 1}) == (round(refusal.value.retry_after_s, 3), batcher.stats().refused)
        take_back(handles)


@virtual_time
async def test_only_what_stands_before_an_item_delays_it():
    """The same item is in time if it is urgent enough to overtake."""
    async with new_batcher() as batcher:
        await paced_executor(batcher, 2.0)
        handles = [batcher.enqueue_nowait(item) for item in "abc"]

        handles.append(batcher.enqueue_nowait("d", urgency=0, deadline=now() + 2.2))
        assert 4 == batcher.stats().waiting
        take_back(handles)


@virtual_time
async def test_the_pace_follows_the_outcomes():
    """Seconds of one executor an item: a batch of two in 4 s is 2 s each; with another of 3 s it is 7 s for three."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await pass_until(4.0)
        paces = [batcher.stats().seconds_per_job]
        executor.answer("a", "b")
        paces.append(batcher.stats().seconds_per_job)
        handles.append(batcher.enqueue_nowait("c"))
        await pass_until(7.0)
        executor.answer("c")

        assert [None, 2.0, 7 / 3] == [*paces, batcher.stats().seconds_per_job]
        for handle in handles:
            await handle.wait()


@virtual_time
async def test_no_executor_is_a_refusal():
    """Unless somebody says when there will be one."""
    async with new_batcher() as batcher:
        with pytest.raises(NoExecutor) as refusal:
            batcher.enqueue_nowait("a")
        batcher.expect_executor(now() + 3.0)
        handle = batcher.enqueue_nowait("a")

        assert (1.0, {"no_executor": 1}) == (refusal.value.retry_after_s, batcher.stats().refused)
        handle.cancel()


@virtual_time
async def test_an_item_waits_for_the_executor_that_is_expected():
    """It is sent as soon as there is room."""
    async with new_batcher() as batcher:
        batcher.expect_executor(3.0)
        handle = batcher.enqueue_nowait("a")
        await pass_until(3.0)
        executor = GatedExecutor(batcher, credits=1)
        await all_blocked()
        executor.answer("a")

        assert "A" == await handle.wait()


@virtual_time
async def test_an_executor_expected_too_late_is_a_refusal():
    """It would be there at 3 s; the item is due at 2."""
    async with new_batcher() as batcher:
        batcher.expect_executor(3.0)

        with pytest.raises(WouldBeLate) as refusal:
            batcher.enqueue_nowait("a", deadline=2.0)
        assert 1.0 == refusal.value.retry_after_s


@virtual_time
async def test_asking_first_raises_what_would_be_refused():
    """Nobody uploads in vain; and nothing is queued by asking."""
    async with new_batcher(max_queue_bytes=10) as batcher:
        GatedExecutor(batcher)
        batcher.check_open(size=10)

        with pytest.raises(QueueFull):
            batcher.check_open(size=11)
        assert ({"queue_full": 1}, 0, 0) == (
            batcher.stats().refused,
            batcher.stats().accepted,
            batcher.stats().held_bytes,
        )


@virtual_time
async def test_asking_first_looks_at_no_deadline():
    """A pace that makes every ordinary item late refuses nobody who has not said when it is due."""
    async with new_batcher(slo_s=5.0) as batcher:
        await paced_executor(batcher, 3.0)
        handle = batcher.enqueue_nowait("a")

        with pytest.raises(WouldBeLate):
            batcher.enqueue_nowait("b")
        batcher.check_open()
        handle.cancel()


# ---- What it tells ----


@virtual_time
async def test_stats_count_how_everything_ended():
    """What was accepted is answered, failed, expired, cancelled, waiting or running."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=4)
        deadlines = {"a": 60.0, "b": 60.0, "c": 60.0, "d": 60.0, "e": 61.0, "f": 61.0, "g": 62.0}
        handles = {item: batcher.enqueue_nowait(item, deadline=deadlines[item]) for item in deadlines}
        await all_blocked()
        executor.answer("a")
        executor.finish("b", Failed(ValueError()))
        executor.slot.grant(0)
        handles["c"].cancel()
        handles["e"].cancel()
        await pass_until(61.0)
        stats = batcher.stats()

        assert (7, 1, 1) == (stats.accepted, stats.answered, stats.failed)
        assert ({"running": 1, "waiting": 1}, {"running": 1, "waiting": 1}) == (stats.cancelled, stats.expired)
        assert (1, 0, 61.0) == (stats.waiting, stats.running, stats.oldest_s)
        handles["g"].cancel()
        for item, error in {"b": ValueError, "d": DeadlineExceeded, "f": DeadlineExceeded}.items():
            with pytest.raises(error):
                await handles[item].wait()


@virtual_time
async def test_stats_of_a_new_batcher():
    """Nothing has happened."""
    stats = new_batcher().stats()

    assert (0, 0, 0, 0, 0, 0.0, None) == (
        stats.waiting,
        stats.running,
        stats.held_bytes,
        stats.executors,
        stats.free_credits,
        stats.oldest_s,
        stats.seconds_per_job,
    )


@virtual_time
async def test_stats_add_up_the_room():
    """Of all slots."""
    batcher = new_batcher()
    GatedExecutor(batcher, credits=3)
    GatedExecutor(batcher, credits=4)

    assert (2, 7) == (batcher.stats().executors, batcher.stats().free_credits)


@virtual_time
async def test_repr_shows_what_is_where():
    """What waits, what is not yet settled, and what each executor holds."""
    async with new_batcher() as batcher:
        GatedExecutor(batcher, credits=1)
        handles = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()

        assert "Batcher(waiting=1, live=2, slots=[Slot(held=1, free_credits=0)])" == repr(batcher)
        take_back(handles)


@virtual_time
async def test_bad_times_do_not_shut_the_door_for_good():
    """An executor that took fifty times as long as predicted, again and again, is tried as soon as it is idle; then
    what has been refused for the margin alone is let in again."""
    batcher = new_batcher(max_batch=1, slo_s=4.0)
    batcher.observe_batch(1, 0.1)
    async with batcher:
        executor = GatedExecutor(batcher, credits=1)
        for number in range(40):
            name = f"slow {number}"
            handle = batcher.enqueue_nowait(name, deadline=now() + 100)
            await pass_until(now() + 5.0)
            executor.answer(name)
            await handle.wait()

        answered = 0
        for number in range(40):
            name = f"quick {number}"
            handle = batcher.enqueue_nowait(name)
            await pass_until(now() + 0.1)
            executor.answer(name)
            await handle.wait()
            answered += 1

        assert 40 == answered


@virtual_time
async def test_as_many_are_tried_as_executors_are_idle():
    """Those who came just now have been sent to nobody yet, and stand in nobody's way."""
    batcher = new_batcher(max_batch=1)
    batcher.observe_batch(1, 0.1)
    async with batcher:
        slow = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("slow")
        await pass_until(50.0)
        slow.answer("slow")
        await handle.wait()
        GatedExecutor(batcher, credits=1)

        handles = [batcher.enqueue_nowait(item, deadline=now() + 1.0) for item in "ab"]
        with pytest.raises(WouldBeLate):
            batcher.enqueue_nowait("c", deadline=now() + 1.0)
        take_back(handles)
