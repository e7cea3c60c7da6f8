"""Identical tasks under way share one inference, and nothing else."""

import asyncio

import pytest

from batcher import DeadlineExceeded, Failed, QueueFull, Result, WouldBeLate
from server.contract.answer import Reply
from server.contract.errors import ModelFailed
from server.contract.owner import Owner
from server.contract.task import TensorTask
from server.engine.flights import Flights
from server.engine.submission import Submission
from tests.fakes import GatedExecutor, all_blocked, new_batcher, now, pass_until, virtual_time


def task(data=b"abcd", **others):
    return TensorTask(data, "UINT8", (len(data),), **others)


def reply(name=b"x"):
    return Reply(None, name, 0.0, 0.0, 0.0, 1)


class Bench:
    """A stage before a gated executor."""

    def __init__(self, batcher, credits=0):
        self.batcher = batcher
        self.executor = GatedExecutor(batcher, credits)
        self.stage = Flights(batcher, now)

    def submit(self, what=None, deadline=50.0, urgency=3, reuse="allowed", owner=""):
        return asyncio.create_task(
            self.stage.submit(Submission(what or task(), deadline, urgency, reuse, Owner(account=owner)))
        )

    async def finish(self, what=None, outcome=None):
        self.executor.slot.grant(8)
        await all_blocked()
        self.executor.finish(what or task(), outcome or Result(reply()))
        await all_blocked()


@virtual_time
async def test_a_hundred_at_once_are_one_inference():
    """One is answered by its own, all others by that of the first; nothing is left behind."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        waiting = [bench.submit() for _ in range(100)]
        await all_blocked()
        await bench.finish()

        sources = [(await one).source for one in waiting]
        assert ["inference"] + 99 * ["flight"] == sources
        assert (1, 1, 0) == (batcher.stats().accepted, batcher.stats().answered, len(bench.stage))


@virtual_time
async def test_the_others_are_answered_when_the_first_leaves():
    """The flight is nobody's own."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        waiting = [bench.submit() for _ in range(10)]
        await all_blocked()
        for one in waiting[::2]:
            one.cancel()
        await all_blocked()
        await bench.finish()

        assert 5 * [b"x"] == [(await one).members for one in waiting[1::2]]
        assert {} == batcher.stats().cancelled


@virtual_time
async def test_it_is_taken_back_when_the_last_leaves():
    """Work that nobody waits for is not done."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        waiting = [bench.submit() for _ in range(3)]
        await all_blocked()
        for one in waiting:
            one.cancel()
        await all_blocked()

        assert ({"waiting": 1}, 0, 0) == (batcher.stats().cancelled, batcher.stats().held_bytes, len(bench.stage))


@virtual_time
async def test_each_keeps_its_own_deadline():
    """The first one is late; those who have more time get the answer of the same inference."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        first, second = bench.submit(deadline=5.0), bench.submit(deadline=20.0)
        await pass_until(6.0)
        with pytest.raises(DeadlineExceeded):
            await first
        await bench.finish()

        assert b"x" == (await second).members
        assert (1, {}) == (batcher.stats().answered, batcher.stats().expired)


@virtual_time
async def test_the_last_deadline_ends_it():
    """Nobody is left: it expires like any job."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        first, second = bench.submit(deadline=5.0), bench.submit(deadline=20.0)
        await pass_until(21.0)

        for one in (first, second):
            with pytest.raises(DeadlineExceeded):
                await one
        assert {"waiting": 1} == batcher.stats().expired


@virtual_time
async def test_a_more_urgent_follower_moves_it_forward():
    """It stands where its best waiter would; when that one leaves, where the others would."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        waiting = [bench.submit(task(b"a")), bench.submit(task(b"b")), bench.submit(task(b"b"), urgency=0)]
        await all_blocked()
        bench.executor.slot.grant(1)
        await all_blocked()
        assert [[task(b"b")]] == bench.executor.batches
        bench.executor.finish(task(b"b"), Result(reply()))
        await all_blocked()
        bench.executor.finish(task(b"a"), Result(reply()))

        assert 3 == len([await one for one in waiting])


@virtual_time
async def test_an_error_reaches_each_as_its_own_object():
    """A shared one would collect everybody's traceback."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        waiting = [bench.submit() for _ in range(3)]
        await all_blocked()
        await bench.finish(outcome=Failed(ModelFailed("no")))

        errors = [one.exception() for one in waiting]
        assert 3 * [(ModelFailed, "no")] == [(type(error), str(error)) for error in errors]
        assert 3 == len({id(error) for error in errors})


@virtual_time
async def test_others_go_on_when_it_is_dropped_for_the_first_one():
    """It would be late for one deadline only: the rest are queued anew, by their own."""
    async with new_batcher(max_batch=1) as batcher:
        batcher.observe_batch(1, 4.0)
        bench = Bench(batcher, credits=1)
        ahead = bench.submit(task(b"ahead"), deadline=90.0)
        await all_blocked()
        first, second = bench.submit(deadline=9.0), bench.submit(deadline=80.0)
        await all_blocked()
        for number in range(3):  # more urgent ones push it past the first deadline
            bench.submit(task(b"%d" % number), deadline=70.0, urgency=0)
        await pass_until(9.5)
        assert isinstance(first.exception(), WouldBeLate | DeadlineExceeded)
        while not second.done():
            held = [*bench.executor.jobs]
            for one in held:
                bench.executor.finish(one, Result(reply()))
            await all_blocked()

        assert (b"x", b"x") == ((await second).members, (await ahead).members)


@pytest.mark.parametrize(
    "other",
    [
        {"what": task(b"abce")},
        {"what": task(want="answer")},
        {"reuse": "never"},
        {"reuse": "refresh"},
        {"owner": "somebody"},
    ],
    ids=["bytes", "want", "never", "refresh", "owner"],
)
def test_different_tasks_fly_alone(other):
    """What asks for something else, by somebody else, or for an answer of its own, gets that."""

    @virtual_time
    async def run():
        async with new_batcher() as batcher:
            bench = Bench(batcher)
            waiting = [bench.submit(), bench.submit(**other)]
            await all_blocked()
            assert 2 == batcher.stats().waiting
            for one in waiting:
                one.cancel()
            await all_blocked()

    run()


@virtual_time
async def test_equality_is_decided_by_the_bytes():
    """Two uploads of one size and one hash are two: such collisions can be made."""
    async with new_batcher() as batcher:
        bench = Bench(batcher)
        submissions = [Submission(task(data), 50.0, 3, digest="the same") for data in (b"aaaa", b"bbbb")]
        waiting = [asyncio.create_task(bench.stage.submit(one)) for one in submissions]
        await all_blocked()
        bench.executor.slot.grant(8)
        await all_blocked()
        bench.executor.finish(task(b"aaaa"), Result(reply(b"A")))
        bench.executor.finish(task(b"bbbb"), Result(reply(b"B")))

        assert [b"A", b"B"] == [(await one).members for one in waiting]


@virtual_time
async def test_a_refusal_is_not_hashed():
    """Nothing of the same size is under way, and it is not let in."""
    async with new_batcher(max_queue=1) as batcher:
        bench = Bench(batcher)
        kept = bench.submit(task(b"ab"))
        await all_blocked()
        refused = Submission(task(b"abc"), 50.0, 3)
        with pytest.raises(QueueFull):
            await bench.stage.submit(refused)

        assert (False, False) == refused.hashed
        kept.cancel()
        await all_blocked()


@virtual_time
async def test_a_follower_needs_no_room():
    """It adds no work, so a full queue does not refuse it."""
    async with new_batcher(max_queue=1) as batcher:
        bench = Bench(batcher)
        waiting = [bench.submit(), bench.submit()]
        await all_blocked()
        await bench.finish()

        assert [b"x", b"x"] == [(await one).members for one in waiting]
