"""Items whose runner was lost are tried alone, and cost nobody else anything."""

import pytest

from batcher import RetriesExhausted
from tests.fakes import GatedRunner, all_blocked, new_batcher, virtual_time


async def lose(batcher, items):
    """Put items in, let a runner die with them, and give their tickets."""
    dying = GatedRunner(batcher, room=len(items) + 9)  # the roomiest: all go there
    tickets = [batcher.enqueue_nowait(item) for item in items]
    await all_blocked()
    dying.seat.close("killed")
    return tickets


@virtual_time
async def test_others_go_on_at_the_other_seats():
    """One seat is set aside; what comes new is sent to the rest."""
    async with new_batcher() as batcher:
        suspects = await lose(batcher, "ab")
        first, second = GatedRunner(batcher, room=4), GatedRunner(batcher, room=4)
        await all_blocked()
        others = [batcher.enqueue_nowait(item) for item in "xy"]
        await all_blocked()

        assert ([["a"]], [["x", "y"]]) == (first.batches, second.batches)
        for ticket in (*suspects, *others):
            ticket.cancel()


@virtual_time
async def test_busy_seat_is_set_aside_and_emptied_first():
    """The emptiest gets nothing more until it holds nothing; then the suspect, alone."""
    async with new_batcher() as batcher:
        busy = GatedRunner(batcher, room=2)
        running = batcher.enqueue_nowait("r")
        await all_blocked()
        (suspect,) = await lose(batcher, "a")
        later = batcher.enqueue_nowait("z")
        await all_blocked()
        assert [["r"]] == busy.batches

        busy.answer("r")
        await all_blocked()
        assert [["r"], ["a"]] == busy.batches
        busy.answer("a")
        await all_blocked()
        assert [["r"], ["a"], ["z"]] == busy.batches
        busy.answer("z")
        assert ["R", "A", "Z"] == [await ticket.wait() for ticket in (running, suspect, later)]


@virtual_time
async def test_poison_is_found_and_the_others_are_answered():
    """The second loss, alone, tells which item it was."""
    async with new_batcher() as batcher:
        tickets = await lose(batcher, "pab")
        second = GatedRunner(batcher, room=4)
        await all_blocked()
        assert [["p"]] == second.batches
        second.seat.close("killed again")
        third = GatedRunner(batcher, room=4)
        for item in "ab":
            await all_blocked()
            third.answer(item)

        assert [["a"], ["b"]] == third.batches
        with pytest.raises(RetriesExhausted, match="2 runners were lost with it, the last: killed again"):
            await tickets[0].wait()
        assert ["A", "B"] == [await ticket.wait() for ticket in tickets[1:]]


@virtual_time
async def test_suspect_that_leaves_frees_the_seat():
    """Nothing is set aside for nobody."""
    async with new_batcher() as batcher:
        busy = GatedRunner(batcher, room=2)
        running = batcher.enqueue_nowait("r")
        await all_blocked()
        (suspect,) = await lose(batcher, "a")
        await all_blocked()
        suspect.cancel()
        busy.answer("r")
        next_one = batcher.enqueue_nowait("z")
        await all_blocked()

        assert [["r"], ["z"]] == busy.batches
        busy.answer("z")
        assert ["R", "Z"] == [await running.wait(), await next_one.wait()]


@virtual_time
async def test_seat_that_grants_nothing_any_more_is_not_used():
    """A runner that is being retired takes no suspect either."""
    async with new_batcher() as batcher:
        retiring = GatedRunner(batcher, room=2)
        running = batcher.enqueue_nowait("r")
        await all_blocked()
        (suspect,) = await lose(batcher, "a")
        await all_blocked()
        retiring.seat.grant(0)
        retiring.answer("r")
        await all_blocked()
        other = GatedRunner(batcher, room=1)
        await all_blocked()

        assert ([["r"]], [["a"]]) == (retiring.batches, other.batches)
        other.answer("a")
        assert ["R", "A"] == [await running.wait(), await suspect.wait()]
