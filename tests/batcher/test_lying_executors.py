"""Executors that break the protocol: they hear of it, and no waiter gets another's answer, two answers, or none."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher import Again, BatcherClosed, BatchFailed, DeadlineExceeded, Failed, Refused, Result, RetriesExhausted
from tests.fakes import all_blocked, new_batcher, now, virtual_time


class Liar:
    """An executor that keeps every job it was ever sent, and may do with any of them what it likes."""

    def __init__(self, batcher, credits):
        self.jobs = []
        self.dropped = []
        self.slot = batcher.attach(self)
        self.slot.grant(credits)

    def send(self, jobs):
        self.jobs += jobs

    def drop(self, job):
        self.dropped.append(job)

    def finish(self, job, outcome):
        """Whether the slot took it."""
        try:
            self.slot.finish(job, outcome)
        except KeyError:
            return False
        return True


async def ending(handle):
    """The answer, or the kind of error."""
    try:
        return await handle.wait()
    except (BatcherClosed, BatchFailed, DeadlineExceeded, RetriesExhausted) as error:
        return type(error)


@virtual_time
async def test_an_item_finished_twice_keeps_its_first_answer():
    """The second report raises at the executor; the counters count one."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        assert liar.finish(liar.jobs[0], Result("first"))
        assert not liar.finish(liar.jobs[0], Result("second"))
        assert not liar.finish(liar.jobs[0], Again("third"))

        assert "first" == await handle.wait()
        assert (1, 0) == (batcher.stats().answered, batcher.stats().waiting)


@virtual_time
async def test_an_item_of_another_executor_cannot_be_finished():
    """Nobody's answer is taken from an executor that does not hold the item."""
    async with new_batcher() as batcher:
        honest, liar = Liar(batcher, credits=1), Liar(batcher, credits=0)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        assert not liar.finish(honest.jobs[0], Result("stolen"))
        assert honest.finish(honest.jobs[0], Result("A"))

        assert "A" == await handle.wait()


@virtual_time
async def test_an_item_that_waits_again_cannot_be_finished():
    """The executor gave it back; what it says later is too late."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, credits=1)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()
        liar.slot.grant(0)
        assert liar.finish(liar.jobs[0], Again("not now"))
        assert not liar.finish(liar.jobs[0], Result("late"))
        assert 1 == batcher.stats().waiting
        other = Liar(batcher, credits=1)
        await all_blocked()
        other.finish(other.jobs[0], Result("A"))

        assert "A" == await handle.wait()


@virtual_time
async def test_an_executor_that_never_answers_costs_its_items_no_more_than_their_deadlines():
    """Each is told at its own; the executor holds them still, and is given no more than it granted."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, credits=2)
        handles = [batcher.enqueue_nowait(item, deadline=due) for item, due in (("a", 3.0), ("b", 5.0), ("c", 7.0))]
        ends = []
        for handle in handles:
            ends.append((await ending(handle), now()))

        assert [(DeadlineExceeded, 3.0), (DeadlineExceeded, 5.0), (DeadlineExceeded, 7.0)] == ends
        assert ["a", "b"] == [job.item for job in liar.jobs]
        assert {"running": 2, "waiting": 1} == batcher.stats().expired


@virtual_time
async def test_an_executor_that_grants_without_end_gets_batches_of_the_policy():
    """And nothing that is late by then."""
    async with new_batcher(max_batch=3) as batcher:
        liar = Liar(batcher, credits=1_000_000)
        handles = [batcher.enqueue_nowait(str(n)) for n in range(8)]
        await all_blocked()
        for job in liar.jobs:
            liar.finish(job, Result(job.item))

        assert [str(n) for n in range(8)] == [await handle.wait() for handle in handles]


@virtual_time
async def test_a_negative_grant_is_no_room():
    """Nothing is sent on it."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, credits=-5)
        handle = batcher.enqueue_nowait("a")
        await all_blocked()

        assert ([], 0) == (liar.jobs, batcher.stats().free_credits)
        handle.cancel()


@virtual_time
async def test_an_executor_that_gives_back_without_end_loses_to_the_deadline():
    """It takes the item and gives it back at once, again and again: the loop does not spin at one moment for ever."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, credits=1)
        handle = batcher.enqueue_nowait("a", deadline=2.0)
        waiter = asyncio.create_task(ending(handle))
        while not waiter.done():
            await all_blocked()
            if liar.jobs:
                liar.finish(liar.jobs.pop(), Again("not now"))
            await asyncio.sleep(0.125)

        assert (DeadlineExceeded, 2.0) == (await waiter, now())


OUTCOMES = {
    "own": lambda job: Result(job.item),
    "failed": lambda _: Failed(BatchFailed("bad")),
    "again": lambda _: Again("not now"),
    "lost": lambda _: Again("lost", lost=True),
}
NUMBER = st.integers(0, 20)
DEED = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, 30)),
    st.tuples(st.just("submit"), st.just(100)),
    st.tuples(st.just("finish"), NUMBER, NUMBER, st.sampled_from([*OUTCOMES])),
    st.tuples(st.just("grant"), NUMBER, st.integers(-3, 10)),
    st.tuples(st.just("close"), NUMBER),
    st.tuples(st.just("attach"), st.integers(0, 3)),
    st.tuples(st.just("cancel"), NUMBER),
    st.tuples(st.just("pass"), st.integers(0, 3)),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(DEED, max_size=40))
def test_whatever_executors_claim_every_waiter_gets_one_ending_of_its_own(deeds):
    """Any executor reports anything about any job that it or another was ever sent."""
    play(deeds)


@virtual_time
async def play(deeds):
    batcher = new_batcher(max_batch=3, slo_s=40.0)
    async with batcher:
        world = World(batcher)
        for name, *arguments in deeds:
            getattr(world, name)(*arguments)
            await all_blocked()
            if name == "pass":
                await asyncio.sleep(arguments[0])
            check(batcher.stats())
        ends = [await waiter for waiter in world.waiters]

    for number, end in enumerate(ends):
        assert end in (number, DeadlineExceeded, BatchFailed, RetriesExhausted, asyncio.CancelledError)
    stats = batcher.stats()
    check(stats)
    assert (0, 0, 0) == (stats.waiting, stats.running, stats.held_bytes)
    assert stats.answered == sum(end == number for number, end in enumerate(ends))


def check(stats):
    ended = stats.answered + stats.failed + sum(stats.expired.values()) + sum(stats.cancelled.values())
    assert stats.accepted == ended + stats.waiting + stats.running
    assert min(stats.waiting, stats.running, stats.held_bytes, stats.free_credits) >= 0


class World:
    """A batcher, its liars and its waiters; one method for each deed."""

    def __init__(self, batcher):
        self._batcher = batcher
        self._liars = [Liar(batcher, 2), Liar(batcher, 1)]
        self._gone = []
        self.waiters = []

    def submit(self, within):
        try:
            handle = self._batcher.enqueue_nowait(len(self.waiters), size=1, deadline=now() + within)
        except Refused:  # by what liars have taught it
            return
        self.waiters.append(asyncio.create_task(ending_or_left(handle)))

    def finish(self, who, which, kind):
        jobs = [job for liar in (*self._liars, *self._gone) for job in liar.jobs]
        if jobs and self._liars:
            job = jobs[which % len(jobs)]
            self._liars[who % len(self._liars)].finish(job, OUTCOMES[kind](job))

    def grant(self, who, credits):
        if self._liars:
            self._liars[who % len(self._liars)].slot.grant(credits)

    def close(self, who):
        if len(self._liars) > 1:  # without any executor nobody could come in
            liar = self._liars.pop(who % len(self._liars))
            self._gone.append(liar)
            liar.slot.close("killed")

    def attach(self, credits):
        self._liars.append(Liar(self._batcher, credits))

    def cancel(self, who):
        if self.waiters:
            self.waiters[who % len(self.waiters)].cancel()

    def __getattr__(self, name):
        assert name == "pass"
        return lambda _: None


async def ending_or_left(handle):
    try:
        return await ending(handle)
    except asyncio.CancelledError as error:
        return type(error)
