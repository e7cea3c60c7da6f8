"""Runners that break the protocol: they hear of it, and no waiter gets another's answer, two answers, or none."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher import Again, BatcherClosed, BatchFailed, DeadlineExceeded, Failed, Refused, Result, RetriesExhausted
from tests.fakes import all_blocked, new_batcher, now, virtual_time


class Liar:
    """A runner that keeps every entry it was ever sent, and may do with any of them what it likes."""

    def __init__(self, batcher, room):
        self.entries = []
        self.dropped = []
        self.seat = batcher.attach(self)
        self.seat.grant(room)

    def send(self, entries):
        self.entries += entries

    def drop(self, entry):
        self.dropped.append(entry)

    def finish(self, entry, outcome):
        """Whether the seat took it."""
        try:
            self.seat.finish(entry, outcome)
        except KeyError:
            return False
        return True


async def ending(ticket):
    """The answer, or the kind of error."""
    try:
        return await ticket.wait()
    except (BatcherClosed, BatchFailed, DeadlineExceeded, RetriesExhausted) as error:
        return type(error)


@virtual_time
async def test_an_item_finished_twice_keeps_its_first_answer():
    """The second report raises at the runner; the counters count one."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, room=1)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        assert liar.finish(liar.entries[0], Result("first"))
        assert not liar.finish(liar.entries[0], Result("second"))
        assert not liar.finish(liar.entries[0], Again("third"))

        assert "first" == await ticket.wait()
        assert (1, 0) == (batcher.stats().answered, batcher.stats().waiting)


@virtual_time
async def test_an_item_of_another_runner_cannot_be_finished():
    """Nobody's answer is taken from a runner that does not hold the item."""
    async with new_batcher() as batcher:
        honest, liar = Liar(batcher, room=1), Liar(batcher, room=0)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        assert not liar.finish(honest.entries[0], Result("stolen"))
        assert honest.finish(honest.entries[0], Result("A"))

        assert "A" == await ticket.wait()


@virtual_time
async def test_an_item_that_waits_again_cannot_be_finished():
    """The runner gave it back; what it says later is too late."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, room=1)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        liar.seat.grant(0)
        assert liar.finish(liar.entries[0], Again("not now"))
        assert not liar.finish(liar.entries[0], Result("late"))
        assert 1 == batcher.stats().waiting
        other = Liar(batcher, room=1)
        await all_blocked()
        other.finish(other.entries[0], Result("A"))

        assert "A" == await ticket.wait()


@virtual_time
async def test_a_runner_that_never_answers_costs_its_items_no_more_than_their_deadlines():
    """Each is told at its own; the runner holds them still, and is given no more than it granted."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, room=2)
        tickets = [batcher.enqueue_nowait(item, deadline=due) for item, due in (("a", 3.0), ("b", 5.0), ("c", 7.0))]
        ends = []
        for ticket in tickets:
            ends.append((await ending(ticket), now()))

        assert [(DeadlineExceeded, 3.0), (DeadlineExceeded, 5.0), (DeadlineExceeded, 7.0)] == ends
        assert ["a", "b"] == [entry.item for entry in liar.entries]
        assert {"running": 2, "waiting": 1} == batcher.stats().expired


@virtual_time
async def test_a_runner_that_grants_without_end_gets_batches_of_the_policy():
    """And nothing that is late by then."""
    async with new_batcher(max_batch=3) as batcher:
        liar = Liar(batcher, room=1_000_000)
        tickets = [batcher.enqueue_nowait(str(n)) for n in range(8)]
        await all_blocked()
        for entry in liar.entries:
            liar.finish(entry, Result(entry.item))

        assert [str(n) for n in range(8)] == [await ticket.wait() for ticket in tickets]


@virtual_time
async def test_a_negative_grant_is_no_room():
    """Nothing is sent on it."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, room=-5)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()

        assert ([], 0) == (liar.entries, batcher.stats().room)
        ticket.cancel()


@virtual_time
async def test_a_runner_that_gives_back_without_end_loses_to_the_deadline():
    """It takes the item and gives it back at once, again and again: the loop does not spin at one moment for ever."""
    async with new_batcher() as batcher:
        liar = Liar(batcher, room=1)
        ticket = batcher.enqueue_nowait("a", deadline=2.0)
        waiter = asyncio.create_task(ending(ticket))
        while not waiter.done():
            await all_blocked()
            if liar.entries:
                liar.finish(liar.entries.pop(), Again("not now"))
            await asyncio.sleep(0.125)

        assert (DeadlineExceeded, 2.0) == (await waiter, now())


OUTCOMES = {
    "own": lambda entry: Result(entry.item),
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
def test_whatever_runners_claim_every_waiter_gets_one_ending_of_its_own(deeds):
    """Any runner reports anything about any entry that it or another was ever sent."""
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
    assert min(stats.waiting, stats.running, stats.held_bytes, stats.room) >= 0


class World:
    """A batcher, its liars and its waiters; one method for each deed."""

    def __init__(self, batcher):
        self._batcher = batcher
        self._liars = [Liar(batcher, 2), Liar(batcher, 1)]
        self._gone = []
        self.waiters = []

    def submit(self, within):
        try:
            ticket = self._batcher.enqueue_nowait(len(self.waiters), size=1, deadline=now() + within)
        except Refused:  # by what liars have taught it
            return
        self.waiters.append(asyncio.create_task(ending_or_left(ticket)))

    def finish(self, who, which, kind):
        entries = [entry for liar in (*self._liars, *self._gone) for entry in liar.entries]
        if entries and self._liars:
            entry = entries[which % len(entries)]
            self._liars[who % len(self._liars)].finish(entry, OUTCOMES[kind](entry))

    def grant(self, who, room):
        if self._liars:
            self._liars[who % len(self._liars)].seat.grant(room)

    def close(self, who):
        if len(self._liars) > 1:  # without any runner nobody could come in
            liar = self._liars.pop(who % len(self._liars))
            self._gone.append(liar)
            liar.seat.close("killed")

    def attach(self, room):
        self._liars.append(Liar(self._batcher, room))

    def cancel(self, who):
        if self.waiters:
            self.waiters[who % len(self.waiters)].cancel()

    def __getattr__(self, name):
        assert name == "pass"
        return lambda _: None


async def ending_or_left(ticket):
    try:
        return await ending(ticket)
    except asyncio.CancelledError as error:
        return type(error)
