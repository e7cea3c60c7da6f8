"""Any story of clients, executors and time, and after each step all that must always hold.

A story is a list of steps; what is in one step happens at one moment, before anything can react. Hypothesis
writes the stories and, where one ends badly, shortens it. Times are multiples of 1/8 s, so they are exact.
"""

import asyncio
from collections import Counter
from contextlib import ExitStack
from itertools import chain, count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher import (
    Again,
    BatcherClosed,
    BatchFailed,
    DeadlineExceeded,
    Failed,
    Refused,
    Result,
    RetriesExhausted,
)
from batcher.job import Stage
from tests.fakes import all_blocked, new_batcher, now, virtual_time

POLICY = {"max_batch": 4, "max_queue": 4, "max_queue_bytes": 30, "max_losses": 2}
PROFILES = [{}, {1: 1.0, 4: 4.0}, {1: 1.25, 4: 2.0}, {1: 3.0, 2: 3.5, 4: 4.5}]


class Hurry(Exception):
    """Ends a story without waiting for anybody."""


class Client:
    """One task that submits one item, and what came of it."""

    def __init__(self, story, deadline, urgency, size):
        self.deadline, self.urgency, self.size = deadline, urgency, size
        self.order = None
        self.arrived = None
        self.handle = None
        self.leaving = False
        self.beaten = False
        self.holders = []
        self.losses = 0
        self.on_trial = False
        self.endings = []
        self.task = asyncio.create_task(self.run(story))

    async def run(self, story):
        try:
            self.handle = story.batcher.enqueue_nowait(
                self, size=self.size, deadline=self.deadline, urgency=self.urgency
            )
        except (Refused, BatcherClosed):
            self.endings.append("refused")
            return
        self.arrived, self.order = now(), (self.urgency, self.deadline, next(story.numbers))
        story.accepted.append(self)
        self.endings.append(await self.ending())

    async def ending(self):
        """Wait, and give the counter that the ending belongs to."""
        try:
            assert self is await self.handle.wait(), "another's answer"
        except DeadlineExceeded as error:
            return f"expired {error.stage}"
        except (BatchFailed, RetriesExhausted, BatcherClosed):
            return "failed"
        except asyncio.CancelledError:
            return "cancelled"
        return "answered"

    @property
    def waits(self):
        """Whether it should stand in the queue: accepted, with no executor, not settled, not leaving."""
        return not (self.holders or self.leaving or self.handle.stage is Stage.SETTLED)


class CheckedExecutor:
    """An executor that checks what it is sent, at the moment it is sent it."""

    def __init__(self, story, room):
        self.story = story
        self.jobs = []
        self.dropped = []
        self.slot = story.batcher.attach(self)
        self.slot.grant(room)

    def send(self, jobs):
        clients = [job.item for job in jobs]
        assert 1 <= len(jobs) <= POLICY["max_batch"]
        assert len(self.jobs) + len(jobs) <= self.slot.credits
        for job in jobs:
            assert job.deadline > now(), "sent after its deadline"
            assert job.item.waits, "sent to two executors at once, or after its end"
            job.item.holders.append(self)
        suspects = self.check_suspects(clients)
        orders = [client.order for client in clients]
        left = [
            client.order
            for client in self.story.accepted
            if client.waits and client.deadline > now() and bool(client.losses) == suspects
        ]
        assert orders == sorted(orders)
        assert all(max(orders) < order for order in left), "sent before somebody who comes first"
        self.jobs += jobs

    def check_suspects(self, clients):
        """Who has lost an executor is tried alone; whether these have."""
        assert not any(job.item.on_trial for job in self.jobs), "sent beside a suspect"
        suspects = any(client.losses for client in clients)
        if suspects:
            assert (1, 0) == (len(clients), len(self.jobs)), "a suspect that is not alone"
            clients[0].on_trial = True
        return suspects

    def drop(self, job):
        assert job in self.jobs
        assert job not in self.dropped, "told twice"
        self.dropped.append(job)

    def finish(self, job, outcome):
        self.jobs.remove(job)
        job.item.holders.remove(self)
        job.item.on_trial = False
        self.slot.finish(job, outcome)

    def die(self):
        for job in self.jobs:
            job.item.holders.remove(self)
            job.item.on_trial = False
            job.item.losses += 1
        self.jobs = []
        self.slot.close("killed")


class Story:
    """A batcher, its clients and its executors; one method for each thing that can happen."""

    def __init__(self, batcher):
        self.batcher = batcher
        self.numbers = count()
        self.clients = []
        self.accepted = []
        self.executors = []
        self.uploads = []

    # -- what can happen ---------------------------------------------------------------------------

    def submit(self, within, urgency, size):
        self.clients.append(Client(self, now() + within, urgency, size))

    def leave(self, number):
        """A client's task is cancelled."""
        if client := pick([client for client in self.accepted if not client.endings], number):
            client.beaten |= client.handle.stage is Stage.SETTLED and not client.leaving
            client.leaving = True
            client.task.cancel()

    def take_back(self, number):
        """A client's item is cancelled by its handle."""
        if client := pick([client for client in self.accepted if not client.endings], number):
            client.leaving = client.handle.cancel() or client.leaving

    def advance(self, number, within, urgency):
        if client := pick([client for client in self.accepted if client.waits], number):
            client.handle.advance(deadline=now() + within, urgency=urgency)
            old_urgency, old_due, place = client.order
            client.order = (min(urgency, old_urgency), min(now() + within, old_due), place)

    def expect(self, within):
        self.batcher.expect_executor(now() + within)

    def upload(self):
        self.uploads.append(ExitStack())
        self.uploads[-1].enter_context(self.batcher.arriving())

    def uploaded(self):
        if self.uploads:
            self.uploads.pop().close()

    def attach(self, room):
        self.executors.append(CheckedExecutor(self, room))

    def grant(self, number, room):
        if executor := pick(self.executors, number):
            executor.slot.grant(room)

    def finish(self, number, place, kind):
        executor = pick([executor for executor in self.executors if executor.jobs], number)
        if executor:
            job = pick(executor.jobs, place)
            outcome = {
                "result": Result(job.item),
                "failed": Failed(BatchFailed("bad")),
                "again": Again("lost"),
            }
            executor.finish(job, outcome[kind])

    def die(self, number):
        if executor := pick(self.executors, number):
            self.executors.remove(executor)
            executor.die()

    # -- what always holds -------------------------------------------------------------------------

    def check(self):
        stats = self.batcher.stats()
        live = [client for client in self.accepted if not client.endings]
        waiting = [client for client in live if not client.holders]
        self.check_sums(stats, live, waiting)
        self.check_endings(stats)
        assert all(client.deadline > now() for client in live), "nobody is live past its deadline"
        assert all(client.losses <= POLICY["max_losses"] for client in self.clients)
        self.check_wait([client for client in waiting if not client.losses])
        self.check_trial([client for client in waiting if client.losses])

    def check_sums(self, stats, live, waiting):
        ended = stats.answered + stats.failed + sum(stats.expired.values()) + sum(stats.cancelled.values())
        assert stats.accepted == ended + stats.waiting + stats.running
        assert (len(waiting), len(live) - len(waiting)) == (stats.waiting, stats.running)
        assert sum(client.size for client in live) == stats.held_bytes
        assert stats.waiting <= POLICY["max_queue"] + stats.retried
        assert (
            sum(max(0, executor.slot.credits - len(executor.jobs)) for executor in self.executors) == stats.free_credits
        )
        for executor in self.executors:
            gone = [job for job in executor.jobs if job.item.endings]
            assert set(gone) == {job for job in executor.dropped if job in executor.jobs}

    def check_endings(self, stats):
        """Each client that has ended has one ending, and it is counted once, where it belongs."""
        assert all(client.task.done() == (len(client.endings) == 1) for client in self.clients)
        endings = Counter(ending for client in self.clients for ending in client.endings)
        counted = Counter(
            {
                "answered": stats.answered,
                "failed": stats.failed,
                "expired waiting": stats.expired.get("waiting", 0),
                "expired running": stats.expired.get("running", 0),
                "cancelled": sum(stats.cancelled.values()),
                "refused": sum(stats.refused.values()),
            }
        )
        beaten = sum(client.beaten for client in self.clients)
        assert Counter(cancelled=beaten) == endings - counted, "who leaves in the turn of the answer sees none"
        assert beaten == (counted - endings).total()

    def check_wait(self, waiting):
        """Nobody waits while a slot has room, but for items on their way, and that no longer than the fixed cost."""
        room = max(map(self.batcher._dispatcher.isolation.free_credits, self.batcher._dispatcher.slots), default=0)
        for client in waiting if room else ():
            assert self.uploads, "waits for nothing"
            assert len(waiting) < room, "waits without room for more"
            assert now() < client.arrived + self.batcher.cost_model.fixed_s, "waits too long"
            assert now() < client.deadline - self.batcher.cost_model.run_s(len(waiting) + 1), "waits too late"

    def check_trial(self, suspects):
        """A suspect waits for nothing but the slot that is set aside."""
        if suspects and any(executor.slot.credits for executor in self.executors):
            assert self.batcher._dispatcher.isolation.slot.held, "a suspect waits while its slot is empty"


def pick(candidates, number):
    """Give one of them; None if there is none."""
    return candidates[number % len(candidates)] if candidates else None


NUMBER = st.integers(0, 15)
ROOM = st.integers(0, 5)
WITHIN = st.integers(0, 64).map(lambda eighths: eighths / 8)
URGENCY = st.sampled_from([0, 3, 7])
ACTION = st.one_of(
    st.tuples(st.just("submit"), WITHIN, URGENCY, st.integers(0, 12)),
    st.tuples(st.just("submit"), st.just(8.0), st.just(3), st.just(1)),
    st.tuples(st.just("submit"), st.just(8.0), st.just(3), st.just(1)),
    st.tuples(st.just("finish"), NUMBER, NUMBER, st.just("result")),
    st.tuples(st.just("leave"), NUMBER),
    st.tuples(st.just("take_back"), NUMBER),
    st.tuples(st.just("advance"), NUMBER, WITHIN, URGENCY),
    st.tuples(st.just("expect"), WITHIN),
    st.tuples(st.just("upload")),
    st.tuples(st.just("uploaded")),
    st.tuples(st.just("attach"), ROOM),
    st.tuples(st.just("grant"), NUMBER, ROOM),
    st.tuples(st.just("finish"), NUMBER, NUMBER, st.sampled_from(["result", "result", "result", "failed", "again"])),
    st.tuples(st.just("die"), NUMBER),
)
STEP = st.tuples(st.lists(ACTION, max_size=5), st.sampled_from([0.0, 0.0, 0.125, 0.5, 2.0]))

CHAPTER = st.lists(STEP, max_size=10)
STORY = st.tuples(CHAPTER, CHAPTER, CHAPTER, CHAPTER).map(
    lambda chapters: [*chain(*chapters)]
)  # long, and shrinks well


@pytest.mark.timeout(300)  # where it fails, it takes its time to shorten the story
@settings(deadline=None, max_examples=100)
@given(STORY, st.sampled_from(PROFILES), st.booleans())
def test_whatever_happens(steps, seconds, orderly):
    """After each step everything adds up, and in the end nobody waits and nothing is held."""
    play(steps, seconds, orderly)


@virtual_time
async def play(steps, seconds, orderly):
    batcher = new_batcher(**POLICY)
    for size, each in seconds.items():
        batcher.observe_batch(size, each)
    try:
        async with batcher:
            story = Story(batcher)
            story.attach(4)
            for actions, pause in steps:
                await act(story, actions)
                await rest(story, pause)
            while story.uploads:
                story.uploaded()
            if not orderly:
                raise Hurry
    except* Hurry:
        await all_blocked()
    story.check()
    stats = batcher.stats()
    assert (0, 0, 0) == (stats.waiting, stats.running, stats.held_bytes)
    assert all(client.task.done() for client in story.clients)


async def act(story, actions):
    """Let all of it happen at one moment, then see what it leads to."""
    for name, *arguments in actions:
        getattr(story, name)(*arguments)
    await all_blocked()
    story.check()


async def rest(story, pause):
    """Let time pass."""
    if pause:
        await asyncio.sleep(pause)
        await all_blocked()
        story.check()
