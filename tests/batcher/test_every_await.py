"""Cancellation and accidents at every point where anything of a batcher waits: nobody hangs, everything adds up.

Tasks are driven one suspension at a time. A story is told again and again, cut at its first suspension, at its second
and so on, until it has none left to be cut at; so no point is left out, also none that is added later.
"""

import asyncio
from itertools import count

import pytest

from batcher import BatcherClosed, BatchFailed, DeadlineExceeded, RetriesExhausted
from tests.fakes import GatedExecutor, all_blocked, new_batcher, virtual_time

ENDINGS = (BatcherClosed, BatchFailed, DeadlineExceeded, RetriesExhausted)


class Accident(Exception):
    """Something that goes wrong in these tests."""


class Cut:
    """An awaitable that runs another and throws into it at its n-th suspension, counted from 0."""

    def __init__(self, coroutine, number, error):
        self._coroutine = coroutine
        self._number = number
        self._error = error
        self.reached = False
        """Whether there was such a suspension."""
        self.on_end = lambda: None

    def __await__(self):
        try:
            return (yield from self._run())
        finally:
            self.on_end()

    def _run(self):
        reply = None
        for number in count():
            try:
                waits_for = self._coroutine.send(reply)
            except StopIteration as end:
                return end.value
            if number == self._number:
                self.reached = True
                return (yield from self._throw(waits_for))
            reply = yield waits_for
        return None

    def _throw(self, waits_for):
        """As a task that is cancelled does it: what it waits for is cancelled, then the error is raised there."""
        if isinstance(waits_for, asyncio.Future):
            waits_for._asyncio_future_blocking = False
            waits_for.cancel()
        waits_for = self._coroutine.throw(self._error)
        while True:
            try:
                reply = yield waits_for
                waits_for = self._coroutine.send(reply)
            except StopIteration as end:
                return end.value


def first_task_cut(number, error):
    """Cut the task that is created next, which of a batcher is its loop. Gives a list that the cut is put in."""
    loop, cuts = asyncio.get_running_loop(), []

    async def run(cut):
        return await cut

    def create(loop, coroutine, **more):
        loop.set_task_factory(None)
        cuts.append(Cut(coroutine, number, error))
        return asyncio.Task(run(cuts[0]), loop=loop, **more)

    loop.set_task_factory(create)
    return cuts


async def ending(waiting):
    """What a waiter gets: an answer, or the kind of its error."""
    try:
        return await waiting
    except (*ENDINGS, asyncio.CancelledError) as error:
        return type(error)


def check_empty(batcher):
    """Everybody has ended, once, and nothing is held."""
    stats = batcher.stats()
    ended = stats.answered + stats.failed + sum(stats.expired.values()) + sum(stats.cancelled.values())
    assert stats.accepted == ended
    assert (0, 0, 0) == (stats.waiting, stats.running, stats.held_bytes)


async def model(items):
    """Takes its time, in several steps."""
    for _ in range(3):
        await asyncio.sleep(1)
    return [item.upper() for item in items]


def told_until_uncut(story):
    """Tell a story with a cut at 0, 1, 2, ... until no cut is reached; how often it was cut."""
    for number in range(100):
        if not story(number):
            return number
    raise AssertionError("a story without end")


@pytest.mark.parametrize("neighbours", [0, 3])
def test_a_waiter_cancelled_at_any_point_leaves_the_others_alone(neighbours):
    """From its first suspension to its last: its own task ends as cancelled, every other one gets its answer."""

    def story(number):
        return tell(number, neighbours)

    @virtual_time
    async def told(number, neighbours, seen):
        async with new_batcher(model, max_batch=2) as batcher:
            others = [asyncio.create_task(batcher.submit(f"n{n}")) for n in range(neighbours)]
            cut = Cut(batcher.submit("a"), number, asyncio.CancelledError())

            async def waiter():
                return await cut

            got = await ending(asyncio.create_task(waiter()))
            assert int(cut.reached) == sum(batcher.stats().cancelled.values())
            answers = await asyncio.gather(*others)
        seen.append(cut.reached)
        assert (asyncio.CancelledError if cut.reached else "A") == got
        assert [f"N{n}" for n in range(neighbours)] == answers
        check_empty(batcher)

    def tell(number, neighbours):
        seen = []
        told(number, neighbours, seen)
        return seen[0]

    assert told_until_uncut(story) >= 1


def test_a_model_cancelled_at_any_point_fails_its_batch_and_no_other():
    """Its three steps: the batch fails, the next one is answered."""
    seen = []

    @virtual_time
    async def told(number):
        cuts = []

        async def cut_model(items):
            cuts.append(Cut(model(items), number if not cuts else -1, asyncio.CancelledError()))
            return await cuts[-1]

        async with new_batcher(cut_model, max_batch=2) as batcher:
            first = [asyncio.create_task(ending(batcher.submit(item))) for item in "ab"]
            await all_blocked()
            second = asyncio.create_task(ending(batcher.submit("c")))
            got = [await one for one in (*first, second)]
        seen.append(cuts[0].reached)
        assert ([BatchFailed, BatchFailed, "C"] if cuts[0].reached else ["A", "B", "C"]) == got
        check_empty(batcher)

    def story(number):
        told(number)
        return seen[-1]

    assert 3 == told_until_uncut(story)


@pytest.mark.parametrize("error", [asyncio.CancelledError, Accident])
def test_a_loop_that_is_struck_at_any_point_settles_everybody(error):
    """The batcher's own loop, at each of its waits: who waits is told, who comes later is refused, and a program that
    is inside `async with` does not live on as if nothing were wrong."""
    seen = []

    @virtual_time
    async def told(number):
        batcher = new_batcher(max_batch=2)
        struck = asyncio.Event()
        cuts = first_task_cut(number, error())
        got = []
        try:
            async with batcher:
                cuts[0].on_end = struck.set
                executor = GatedExecutor(batcher, credits=1)
                waiters = [asyncio.create_task(ending(batcher.submit(item))) for item in "abcd"]
                for item in "abcd":
                    await all_blocked()
                    if not struck.is_set():
                        executor.answer(item)
                await all_blocked()
                if struck.is_set():
                    with pytest.raises(BatcherClosed):
                        batcher.enqueue_nowait("e")
                got = [await waiter for waiter in waiters]
        except* Accident:
            got = [await waiter for waiter in waiters]
        except* asyncio.CancelledError:
            got = [await waiter for waiter in waiters]
        seen.append(cuts[0].reached)
        answered = [item for item in got if isinstance(item, str)]
        assert [item.upper() for item in "abcd"][: len(answered)] == answered
        assert {BatcherClosed} >= set(got[len(answered) :])
        check_empty(batcher)

    def story(number):
        told(number)
        return seen[-1] and number < 6

    assert told_until_uncut(story) >= 5


def test_closing_that_is_cancelled_at_any_point_settles_everybody():
    """The wait for those accepted, and the wait for the batcher's own tasks."""
    seen = []

    @virtual_time
    async def told(number):
        batcher = new_batcher(model, max_batch=1)
        waiters = []

        async def using():
            await batcher.__aenter__()
            waiters.extend(asyncio.create_task(ending(batcher.submit(item))) for item in "ab")
            await asyncio.sleep(0)
            cut = Cut(batcher.__aexit__(None, None, None), number, asyncio.CancelledError())
            try:
                await cut
            finally:
                seen.append(cut.reached)

        task = asyncio.create_task(using())
        await asyncio.wait([task])
        got = [await waiter for waiter in waiters]
        assert seen[-1] == task.cancelled()
        assert set(got) <= ({"A", "B", BatcherClosed} if seen[-1] else {"A", "B"})
        with pytest.raises(BatcherClosed):
            batcher.enqueue_nowait("c")
        check_empty(batcher)

    def story(number):
        told(number)
        return seen[-1]

    assert told_until_uncut(story) >= 1
