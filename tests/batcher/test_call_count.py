"""How many Python calls one item makes on its way in: a bound on the cost of admission that no machine can blur."""

import sys
from collections import Counter

import pytest

from batcher import Batcher, Policy, Result, WouldBeLate
from tests.fakes import GatedExecutor, all_blocked, now, pass_until, virtual_time

ACCEPTED, REFUSED, LIKE_THE_LAST = 51, 45, 14


class Calls:
    """Counts the calls of functions of `batcher`, as a context."""

    def __enter__(self):
        self.by_module = Counter()
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    @property
    def total(self):
        return self.by_module.total()

    def _on_event(self, frame, event, _):
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.split(".")[0] == "batcher" and name != "batcher.testing":
            self.by_module[name] += 1


async def busy_batcher(batcher):
    """Let one executor answer twenty items, hold one more, and twelve wait."""
    executor = GatedExecutor(batcher, credits=1)
    for number in range(20):
        batcher.enqueue_nowait(f"seen {number}", prep_s=1e-5, deadline=600.0)
        await pass_until(now() + 3e-3)
        executor.answer(f"seen {number}")
    for number in range(13):
        batcher.enqueue_nowait(f"item {number}", prep_s=1e-5, deadline=600.0)
    await all_blocked()
    assert 12 == batcher.stats().waiting
    return executor


@pytest.fixture
def batcher():
    """A batcher that has measured its batches."""
    batcher = Batcher(policy=Policy(max_batch=4), clock=now)
    for size in (1, 2, 4):
        batcher.observe_batch(size, 1e-3 * (1 + size))
    return batcher


async def finish(batcher, executor):
    """Answer what is left."""
    executor.slot.grant(99)
    await all_blocked()
    for item in list(executor.jobs):
        executor.finish(item, Result(item))


@virtual_time
async def test_an_accepted_item_makes_few_calls(batcher):
    """With one slot and twelve jobs waiting."""
    async with batcher:
        executor = await busy_batcher(batcher)
        with Calls() as calls:
            batcher.enqueue_nowait("new", prep_s=1e-5, deadline=600.0)
        await finish(batcher, executor)

    assert calls.total <= ACCEPTED, calls.by_module


@virtual_time
async def test_a_refused_item_makes_fewer(batcher):
    """It stands behind the others, and would be late."""
    async with batcher:
        executor = await busy_batcher(batcher)
        with Calls() as calls:
            refused = batcher.refusal(prep_s=1e-5, deadline=now() + 3e-3, urgency=4)
        await finish(batcher, executor)

    assert isinstance(refused, WouldBeLate)
    assert calls.total <= REFUSED, calls.by_module


@virtual_time
async def test_an_item_like_one_refused_just_now_makes_hardly_any(batcher):
    """Nothing is predicted anew for it."""
    async with batcher:
        executor = await busy_batcher(batcher)
        batcher.refusal(prep_s=1e-5, deadline=now() + 3e-3, urgency=4)
        with Calls() as calls:
            refused = batcher.refusal(prep_s=1e-5, deadline=now() + 3e-3, urgency=4)
        await finish(batcher, executor)

    assert isinstance(refused, WouldBeLate)
    assert calls.total <= LIKE_THE_LAST, calls.by_module
