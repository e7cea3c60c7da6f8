"""One refusal as the example of the next: as long as nothing changes, and for those whom it tells anything of."""

import gc
import weakref

import pytest

from batcher import WouldBeLate
from tests.fakes import GatedRunner, all_blocked, new_batcher, now, pass_until, virtual_time


@pytest.fixture
def batcher():
    """One image at a time, each 1 s."""
    batcher = new_batcher(max_batch=1)
    batcher.profile.observe(1, 1.0)
    return batcher


async def refused_one(batcher, **what):
    """A runner is busy for a second, and somebody who could only wait for 1.5 s, at a cost of 1 s, has been refused."""
    runner = GatedRunner(batcher, room=1)
    ticket = batcher.enqueue_nowait("first")
    await all_blocked()
    with pytest.raises(WouldBeLate) as refused:
        batcher.check_open(**{"cost": 1.0, "deadline": now() + 1.5, **what})
    return runner, ticket, refused.value


@virtual_time
async def test_next_one_is_refused_by_its_example(batcher):
    """Who has as long, as long as nothing is known to have changed; each is counted."""
    async with batcher:
        runner, _, first = await refused_one(batcher)
        batcher.profile.observe(1, 0.0)  # nobody says that it might matter
        batcher.profile.observe(1, 0.0)

        with pytest.raises(WouldBeLate) as again:
            batcher.check_open(cost=1.0, deadline=now() + 1.5)
        assert (first.retry_after_s, 2) == (again.value.retry_after_s, batcher.stats().refused["would_be_late"])
        runner.answer("first")


@virtual_time
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"cost": 0.0, "deadline": 2.3}, id="cheaper"),
        pytest.param({"cost": 1.0, "deadline": 9.0}, id="with more time"),
    ],
)
async def test_others_are_asked_for_themselves(batcher, other):
    """It is no example for who needs less, or has longer."""
    async with batcher:
        runner, _, _ = await refused_one(batcher, deadline=2.3)

        batcher.check_open(**other)
        runner.answer("first")


@virtual_time
async def test_more_urgent_one_is_asked_for_itself(batcher):
    """It stands before those who made the other one late."""
    async with batcher:
        runner = GatedRunner(batcher, room=1)
        tickets = [batcher.enqueue_nowait(item, urgency=2) for item in "abcdefghi"]
        await all_blocked()
        with pytest.raises(WouldBeLate):
            batcher.check_open(urgency=3, deadline=now() + 5.0)

        batcher.check_open(urgency=0, deadline=now() + 5.0)
        for ticket in tickets:
            ticket.cancel()
        runner.answer("a")


@virtual_time
async def test_it_stands_until_something_changes(batcher):
    """A runner that has answered is free."""
    async with batcher:
        runner, ticket, _ = await refused_one(batcher)
        runner.answer("first")

        batcher.check_open(cost=1.0, deadline=now() + 2.5)
        await ticket.wait()


@virtual_time
async def test_it_stands_for_a_millisecond(batcher):
    """Time passes, and what is under way gets done."""
    async with batcher:
        runner, _, _ = await refused_one(batcher, deadline=2.9)
        await pass_until(0.9)

        batcher.check_open(cost=1.0, deadline=now() + 2.5)
        runner.answer("first")


@virtual_time
@pytest.mark.parametrize("ask", ["enqueue_nowait", "check_open", "refusal"])
async def test_a_refusal_leaves_nothing_to_the_collector(batcher, ask):
    """Under overload there are thousands: a pause to collect them would make others late."""
    async with batcher:
        runner, _, _ = await refused_one(batcher, deadline=2.3)
        gc.disable()
        try:
            refused = weakref.ref(refusal_by(batcher, ask))
            assert refused() is None
        finally:
            gc.enable()
        runner.answer("first")


def refusal_by(batcher, ask):
    """How `batcher` refuses one that is due too soon."""
    deadline = now() + 1.5
    try:
        if ask == "enqueue_nowait":
            batcher.enqueue_nowait("second", cost=1.0, deadline=deadline)
        if ask == "check_open":
            batcher.check_open(cost=1.0, deadline=deadline)
        return batcher.refusal(cost=1.0, deadline=deadline)
    except WouldBeLate as refused:
        return refused
