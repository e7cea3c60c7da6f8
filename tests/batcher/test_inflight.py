"""Every accepted job ends exactly once, at its deadline at the latest, wherever it stands."""

import asyncio
import weakref

import pytest

from batcher import BatcherClosed, DeadlineExceeded, Failed, Result
from batcher.inflight import InFlight
from batcher.job import Job, Oneshot, Stage
from tests.fakes import GatedExecutor, new_batcher, now, pass_until, virtual_time


def new_in_flight():
    """Give a in_flight, and the list of the jobs that left before their outcome came."""
    left = []
    return InFlight(now, left.append), left


def opened(in_flight, item, *, deadline=100.0, size=0):
    """Accept a job."""
    job = Job(item, Oneshot(), now(), deadline, 3, 0.0, size, (3, deadline, 0))
    in_flight.open(job)
    return job


@virtual_time
async def test_an_accepted_job_is_live():
    """It holds its bytes, and nobody has counted an end."""
    in_flight, _ = new_in_flight()
    opened(in_flight, "a", size=7)

    assert (1, 1, 7) == (in_flight.accepted, in_flight.live, in_flight.held_bytes)


@pytest.mark.parametrize(
    ("outcome", "expected"), [(Result("A"), (1, 0)), (Failed(ValueError()), (0, 1))], ids=["answered", "failed"]
)
@virtual_time
async def test_a_settled_job_is_counted(outcome, expected):
    """Its bytes are free, and the executor is not told: it knows."""
    in_flight, left = new_in_flight()
    job = opened(in_flight, "a", size=7)

    assert in_flight.settle(job, outcome)
    assert expected == (in_flight.answered, in_flight.failed)
    assert (0, 0, [], Stage.SETTLED) == (in_flight.live, in_flight.held_bytes, left, job.stage)


@virtual_time
async def test_a_second_outcome_is_dropped():
    """It is not counted, and frees no bytes a second time."""
    in_flight, _ = new_in_flight()
    job = opened(in_flight, "a", size=7)
    in_flight.settle(job, Result("A"))

    assert False is in_flight.settle(job, Failed(ValueError()))
    assert (1, 0, 0) == (in_flight.answered, in_flight.failed, in_flight.held_bytes)


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.RUNNING])
@virtual_time
async def test_a_deadline_is_kept_by_a_timer(stage):
    """At that moment, not before; the error and the counter name the stage."""
    in_flight, left = new_in_flight()
    job = opened(in_flight, "a", deadline=5.0)
    job.stage = stage
    await pass_until(4.9)
    before = in_flight.live
    await pass_until(5.0)

    assert (1, 0, [job]) == (before, in_flight.live, left)
    assert {stage.value: 1} == in_flight.expired
    with pytest.raises(DeadlineExceeded, match=f"while the item was {stage.value}") as error:
        await job.oneshot.wait()
    assert stage.value == error.value.stage


@virtual_time
async def test_a_settled_job_does_not_expire():
    """Nor does it leave a second time."""
    in_flight, left = new_in_flight()
    job = opened(in_flight, "a", deadline=5.0)
    in_flight.settle(job, Result("A"))

    await pass_until(5.0)
    in_flight.expire(job)

    assert ({}, []) == (in_flight.expired, left)


@virtual_time
async def test_a_settled_job_is_let_go_of():
    """Its bytes are free at once, not when its deadline comes."""
    in_flight, _ = new_in_flight()
    item = {"something", "that can be watched"}
    watched = weakref.ref(item)
    in_flight.settle(opened(in_flight, item), Result("A"))
    del item

    assert None is watched()


@virtual_time
async def test_a_timer_that_comes_early_is_set_again():
    """Loops count in coarser steps than clocks: nothing expires before its deadline."""
    behind = [0.0]
    in_flight = InFlight(lambda: now() - behind[0], lambda _: None)
    job = opened(in_flight, "a", deadline=5.0)
    behind[0] = 0.25

    with pytest.raises(DeadlineExceeded):
        await job.oneshot.wait()
    assert 5.25 == now()


@virtual_time
async def test_a_deadline_that_has_passed_ends_the_job_at_once():
    """A timer cannot be set in the past."""
    in_flight, _ = new_in_flight()
    job = opened(in_flight, "a", deadline=-5.0)

    with pytest.raises(DeadlineExceeded):
        await job.oneshot.wait()
    assert 0.0 == now()


@virtual_time
async def test_a_cancelled_job_is_counted_by_stage():
    """Its oneshot is abandoned, its bytes are free."""
    in_flight, left = new_in_flight()
    job = opened(in_flight, "a", size=7)

    assert in_flight.cancel(job)
    assert ({"waiting": 1}, [job], 0, True) == (in_flight.cancelled, left, in_flight.held_bytes, job.done)


@virtual_time
async def test_an_job_cannot_leave_twice():
    """Nor after it was answered."""
    in_flight, left = new_in_flight()
    job = opened(in_flight, "a")
    in_flight.cancel(job)

    assert False is in_flight.cancel(job)
    assert ({"waiting": 1}, [job]) == (in_flight.cancelled, left)


@virtual_time
async def test_an_expiry_does_not_count_who_has_left():
    """Its task was cancelled just now: it will say so itself."""
    in_flight, left = new_in_flight()
    job = opened(in_flight, "a")
    job.oneshot.abandon()

    in_flight.expire(job)
    assert ({}, [], 1) == (in_flight.expired, left, in_flight.live)


@virtual_time
async def test_an_abort_fails_what_is_open():
    """Every waiter gets an exception of its own; who had left already counts as cancelled."""
    in_flight, left = new_in_flight()
    stayers, leaver = [opened(in_flight, "a", size=1), opened(in_flight, "b", size=1)], opened(in_flight, "c", size=1)
    leaver.oneshot.abandon()
    in_flight.abort()

    errors = await asyncio.gather(*(job.oneshot.wait() for job in stayers), return_exceptions=True)
    assert [BatcherClosed, BatcherClosed] == [type(error) for error in errors]
    assert errors[0] is not errors[1]
    assert (2, {"waiting": 1}, 0, 0) == (in_flight.failed, in_flight.cancelled, in_flight.live, in_flight.held_bytes)
    assert {*stayers, leaver} == set(left)


@virtual_time
async def test_empty_is_when_the_last_has_ended():
    """One of two is not enough."""
    in_flight, _ = new_in_flight()
    a, _ = opened(in_flight, "a", deadline=3.0), opened(in_flight, "b", deadline=5.0)
    in_flight.settle(a, Result("A"))

    await in_flight.wait_empty()
    assert 5.0 == now()


@virtual_time
async def test_nothing_accepted_is_empty():
    """There is nothing to wait for."""
    in_flight, _ = new_in_flight()

    await in_flight.wait_empty()
    assert 0 == in_flight.live


@virtual_time
async def test_an_item_expires_while_every_executor_is_busy():
    """Nobody has to finish anything for it."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        running = batcher.enqueue_nowait("a", urgency=0)
        waiting = batcher.enqueue_nowait("b", deadline=5.0)

        with pytest.raises(DeadlineExceeded, match="while the item was waiting"):
            await waiting.wait()
        assert (5.0, [["a"]], []) == (now(), executor.batches, executor.dropped)
        executor.answer("a")
        await running.wait()


@virtual_time
async def test_an_item_expires_while_it_runs():
    """The executor is told, and its late answer is dropped."""
    async with new_batcher() as batcher:
        executor = GatedExecutor(batcher, credits=1)
        handle = batcher.enqueue_nowait("a", deadline=5.0)

        with pytest.raises(DeadlineExceeded, match="while the item was running"):
            await handle.wait()
        assert ["a"] == executor.dropped
        executor.answer("a")
        assert (0, {"running": 1}) == (batcher.stats().answered, batcher.stats().expired)


@virtual_time
async def test_nothing_is_sent_after_its_deadline():
    """Even if its timer comes late, and however many of them stand first."""
    ahead = [0.0]
    async with new_batcher(clock=lambda: now() + ahead[0]) as batcher:
        executor = GatedExecutor(batcher)
        late = [batcher.enqueue_nowait(item, deadline=5.0) for item in "abc"]
        handle = batcher.enqueue_nowait("d", deadline=50.0)
        ahead[0] = 5.0
        executor.slot.grant(1)
        await pass_until(0.0)

        assert ([["d"]], {"waiting": 3}) == (executor.batches, batcher.stats().expired)
        executor.answer("d")
        await handle.wait()
        for each in late:
            with pytest.raises(DeadlineExceeded):
                await each.wait()
