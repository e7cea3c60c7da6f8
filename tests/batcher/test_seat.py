"""Runners at their seats: room, and what happens to the items of one that dies."""

import pytest

from batcher import Again, BatcherClosed, DeadlineExceeded, RetriesExhausted
from tests.fakes import GatedRunner, all_blocked, new_batcher, now, pass_until, virtual_time


@virtual_time
async def test_a_new_seat_is_sent_nothing():
    """It has to grant room first."""
    async with new_batcher() as batcher:
        seat = batcher.attach(GatedRunner(batcher))
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()

        assert (0, set()) == (seat.room, seat.held)
        seat.grant(1)
        assert 1 == seat.room
        ticket.cancel()


@virtual_time
async def test_room_is_what_was_granted_less_what_is_held():
    """A runner that has room left is sent more while it works."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=3)
        tickets = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        tickets += [batcher.enqueue_nowait(item) for item in "cd"]
        await all_blocked()

        assert ([["a", "b"], ["c"]], 0) == (runner.batches, runner.seat.room)
        runner.answer("a", "b", "c")
        await all_blocked()
        runner.answer("d")
        assert ["A", "B", "C", "D"] == [await ticket.wait() for ticket in tickets]


@virtual_time
async def test_a_smaller_grant_takes_nothing_back():
    """There is no room until what is held is less."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=2)
        tickets = [batcher.enqueue_nowait(item) for item in "abc"]
        await all_blocked()
        runner.seat.grant(1)
        rooms = [runner.seat.room]
        runner.answer("a")
        rooms.append(runner.seat.room)
        runner.answer("b")

        assert [0, 0, 1] == [*rooms, runner.seat.room]
        await all_blocked()
        runner.answer("c")
        assert ["A", "B", "C"] == [await ticket.wait() for ticket in tickets]


@virtual_time
async def test_an_entry_that_is_not_held_cannot_be_finished():
    """A runner that reports twice is broken, and hears of it."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=1)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        (entry,) = runner.seat.held
        runner.answer("a")

        with pytest.raises(KeyError):
            runner.seat.finish(entry, Again("twice"))
        assert "A" == await ticket.wait()


@virtual_time
async def test_what_a_dead_runner_held_is_tried_one_by_one_at_another():
    """Any of them may have killed it; the waiters do not notice."""
    async with new_batcher() as batcher:
        dying = GatedRunner(batcher, room=2)
        tickets = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        dying.seat.close("killed")
        other = GatedRunner(batcher, room=2)
        await all_blocked()
        assert ([["a"]], 2) == (other.batches, batcher.stats().retried)
        other.answer("a")
        await all_blocked()

        assert [["a"], ["b"]] == other.batches
        other.answer("b")
        assert ["A", "B"] == [await ticket.wait() for ticket in tickets]


@virtual_time
async def test_a_retry_keeps_its_place():
    """What came later stays behind it."""
    async with new_batcher() as batcher:
        dying, other = GatedRunner(batcher, room=1), GatedRunner(batcher)
        tickets = [batcher.enqueue_nowait(item, deadline=50.0) for item in "ab"]
        await all_blocked()
        dying.seat.close("killed")
        other.seat.grant(1)
        await all_blocked()

        assert [["a"]] == other.batches
        for ticket in tickets:
            ticket.cancel()


@virtual_time
async def test_a_retry_keeps_age_and_deadline():
    """It is as old as it is, and ends when it would have."""
    async with new_batcher() as batcher:
        dying = GatedRunner(batcher, room=1)
        await pass_until(1.0)
        ticket = batcher.enqueue_nowait("a", deadline=9.0)
        await pass_until(5.0)
        dying.seat.close("killed")

        assert (4.0, 1, 0) == (batcher.stats().oldest_s, batcher.stats().waiting, batcher.stats().running)
        with pytest.raises(DeadlineExceeded, match="while the item was waiting"):
            await ticket.wait()
        assert 9.0 == now()


@virtual_time
async def test_a_runner_may_give_one_item_back():
    """Its seat stays, and may be sent the item again."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=2)
        tickets = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        runner.finish("a", Again("no memory"))
        await all_blocked()

        assert [["a", "b"], ["a"]] == runner.batches
        runner.answer("a", "b")
        assert ["A", "B"] == [await ticket.wait() for ticket in tickets]


@virtual_time
async def test_an_item_is_sent_no_more_often_than_the_policy_allows():
    """Then it fails, with the number of attempts and the last reason."""
    async with new_batcher(max_losses=2) as batcher:
        runners = [GatedRunner(batcher) for _ in range(3)]
        ticket = batcher.enqueue_nowait("a")
        for runner, reason in zip(runners, ("killed", "killed again"), strict=False):
            runner.seat.grant(1)
            await all_blocked()
            runner.seat.close(reason)
        runners[2].seat.grant(1)
        await all_blocked()

        assert ([], 1, 1) == (runners[2].batches, batcher.stats().retried, batcher.stats().failed)
        with pytest.raises(RetriesExhausted, match="2 runners were lost with it, the last: killed again"):
            await ticket.wait()


@virtual_time
async def test_each_waiter_gets_an_exception_of_its_own():
    """A shared one would collect the tracebacks of all."""
    async with new_batcher(max_losses=1) as batcher:
        runner = GatedRunner(batcher, room=2)
        tickets = [batcher.enqueue_nowait(item) for item in "ab"]
        await all_blocked()
        runner.seat.close("killed")

        errors = [await error_of(ticket) for ticket in tickets]
        assert [RetriesExhausted, RetriesExhausted] == [type(error) for error in errors]
        assert errors[0] is not errors[1]


async def error_of(ticket):
    """Give the error a waiter gets."""
    with pytest.raises(RetriesExhausted) as error:
        await ticket.wait()
    return error.value


class HastyRunner(GatedRunner):
    """A runner that gives an item back at once when nobody waits for it any more."""

    def drop(self, entry):
        self.finish(entry.item, Again("skipped"))


@virtual_time
async def test_a_runner_may_give_back_at_once_what_was_cancelled():
    """From within the call that tells it: the item has ended, and is not queued again."""
    async with new_batcher() as batcher:
        HastyRunner(batcher, room=1)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        ticket.cancel()

        assert ({"running": 1}, 0, 0) == (
            batcher.stats().cancelled,
            batcher.stats().waiting,
            batcher.stats().retried,
        )


@virtual_time
async def test_a_runner_may_give_back_at_once_what_was_aborted():
    """A batcher that ends in a hurry leaves nothing in its queue either."""
    batcher = new_batcher()
    with pytest.RaisesGroup(OSError):
        async with batcher:
            HastyRunner(batcher, room=1)
            ticket = batcher.enqueue_nowait("a")
            await all_blocked()
            raise OSError

    assert (1, 0, 0) == (batcher.stats().failed, batcher.stats().waiting, batcher.stats().retried)
    with pytest.raises(BatcherClosed):
        await ticket.wait()


@virtual_time
async def test_who_has_left_is_not_retried():
    """Nobody waits for it."""
    async with new_batcher() as batcher:
        runner, other = GatedRunner(batcher, room=1), GatedRunner(batcher)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        ticket.cancel()
        runner.seat.close("killed")
        other.seat.grant(1)
        await all_blocked()

        assert ([], 0, 0) == (other.batches, batcher.stats().retried, batcher.stats().waiting)


@virtual_time
async def test_a_closed_seat_is_gone():
    """It gives no room, holds nothing, and a late grant changes nothing."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=1)
        ticket = batcher.enqueue_nowait("a")
        await all_blocked()
        runner.seat.close("killed")
        runner.seat.grant(8)
        await all_blocked()

        assert ([["a"]], 0, 0) == (runner.batches, batcher.stats().seats, len(runner.seat.held))
        ticket.cancel()


@virtual_time
async def test_repr_shows_what_it_holds():
    """And what more it would take."""
    batcher = new_batcher()

    assert "Seat(held=0, room=3)" == repr(GatedRunner(batcher, room=3).seat)


@virtual_time
async def test_a_runner_teaches_the_profile():
    """What its batches took is known to all."""
    batcher = new_batcher()
    GatedRunner(batcher).seat.observe(4, 2.0)

    assert {4: 2.0} == batcher.profile.sizes
