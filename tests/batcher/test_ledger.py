"""Every accepted entry ends exactly once, at its deadline at the latest, wherever it stands."""

import asyncio
import weakref

import pytest

from batcher import BatcherClosed, DeadlineExceeded, Failed, Oneshot, Result, Stage
from batcher.entry import Entry
from batcher.ledger import Ledger
from tests.fakes import GatedRunner, new_batcher, now, pass_until, virtual_time


def new_ledger():
    """Give a ledger, and the list of the entries that left before their outcome came."""
    left = []
    return Ledger(now, left.append), left


def opened(ledger, item, *, deadline=100.0, size=0):
    """Accept an entry."""
    entry = Entry(item, Oneshot(), now(), deadline, 3, 0.0, size, (3, deadline, 0))
    ledger.open(entry)
    return entry


@virtual_time
async def test_an_accepted_entry_is_live():
    """It holds its bytes, and nobody has counted an end."""
    ledger, _ = new_ledger()
    opened(ledger, "a", size=7)

    assert (1, 1, 7) == (ledger.accepted, ledger.live, ledger.held_bytes)


@pytest.mark.parametrize(
    ("outcome", "expected"), [(Result("A"), (1, 0)), (Failed(ValueError()), (0, 1))], ids=["answered", "failed"]
)
@virtual_time
async def test_a_settled_entry_is_counted(outcome, expected):
    """Its bytes are free, and the runner is not told: it knows."""
    ledger, left = new_ledger()
    entry = opened(ledger, "a", size=7)

    assert ledger.settle(entry, outcome)
    assert expected == (ledger.answered, ledger.failed)
    assert (0, 0, [], Stage.SETTLED) == (ledger.live, ledger.held_bytes, left, entry.stage)


@virtual_time
async def test_a_second_outcome_is_dropped():
    """It is not counted, and frees no bytes a second time."""
    ledger, _ = new_ledger()
    entry = opened(ledger, "a", size=7)
    ledger.settle(entry, Result("A"))

    assert False is ledger.settle(entry, Failed(ValueError()))
    assert (1, 0, 0) == (ledger.answered, ledger.failed, ledger.held_bytes)


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.RUNNING])
@virtual_time
async def test_a_deadline_is_kept_by_a_timer(stage):
    """At that moment, not before; the error and the counter name the stage."""
    ledger, left = new_ledger()
    entry = opened(ledger, "a", deadline=5.0)
    entry.stage = stage
    await pass_until(4.9)
    before = ledger.live
    await pass_until(5.0)

    assert (1, 0, [entry]) == (before, ledger.live, left)
    assert {stage.value: 1} == ledger.expired
    with pytest.raises(DeadlineExceeded, match=f"while the item was {stage.value}") as error:
        await entry.oneshot.wait()
    assert stage.value == error.value.stage


@virtual_time
async def test_a_settled_entry_does_not_expire():
    """Nor does it leave a second time."""
    ledger, left = new_ledger()
    entry = opened(ledger, "a", deadline=5.0)
    ledger.settle(entry, Result("A"))

    await pass_until(5.0)
    ledger.expire(entry)

    assert ({}, []) == (ledger.expired, left)


@virtual_time
async def test_a_settled_entry_is_let_go_of():
    """Its bytes are free at once, not when its deadline comes."""
    ledger, _ = new_ledger()
    item = {"something", "that can be watched"}
    watched = weakref.ref(item)
    ledger.settle(opened(ledger, item), Result("A"))
    del item

    assert None is watched()


@virtual_time
async def test_a_timer_that_comes_early_is_set_again():
    """Loops count in coarser steps than clocks: nothing expires before its deadline."""
    behind = [0.0]
    ledger = Ledger(lambda: now() - behind[0], lambda _: None)
    entry = opened(ledger, "a", deadline=5.0)
    behind[0] = 0.25

    with pytest.raises(DeadlineExceeded):
        await entry.oneshot.wait()
    assert 5.25 == now()


@virtual_time
async def test_a_deadline_that_has_passed_ends_the_entry_at_once():
    """A timer cannot be set in the past."""
    ledger, _ = new_ledger()
    entry = opened(ledger, "a", deadline=-5.0)

    with pytest.raises(DeadlineExceeded):
        await entry.oneshot.wait()
    assert 0.0 == now()


@virtual_time
async def test_a_cancelled_entry_is_counted_by_stage():
    """Its oneshot is abandoned, its bytes are free."""
    ledger, left = new_ledger()
    entry = opened(ledger, "a", size=7)

    assert ledger.cancel(entry)
    assert ({"waiting": 1}, [entry], 0, True) == (ledger.cancelled, left, ledger.held_bytes, entry.done)


@virtual_time
async def test_an_entry_cannot_leave_twice():
    """Nor after it was answered."""
    ledger, left = new_ledger()
    entry = opened(ledger, "a")
    ledger.cancel(entry)

    assert False is ledger.cancel(entry)
    assert ({"waiting": 1}, [entry]) == (ledger.cancelled, left)


@virtual_time
async def test_an_expiry_does_not_count_who_has_left():
    """Its task was cancelled just now: it will say so itself."""
    ledger, left = new_ledger()
    entry = opened(ledger, "a")
    entry.oneshot.abandon()

    ledger.expire(entry)
    assert ({}, [], 1) == (ledger.expired, left, ledger.live)


@virtual_time
async def test_an_abort_fails_what_is_open():
    """Every waiter gets an exception of its own; who had left already counts as cancelled."""
    ledger, left = new_ledger()
    stayers, leaver = [opened(ledger, "a", size=1), opened(ledger, "b", size=1)], opened(ledger, "c", size=1)
    leaver.oneshot.abandon()
    ledger.abort()

    errors = await asyncio.gather(*(entry.oneshot.wait() for entry in stayers), return_exceptions=True)
    assert [BatcherClosed, BatcherClosed] == [type(error) for error in errors]
    assert errors[0] is not errors[1]
    assert (2, {"waiting": 1}, 0, 0) == (ledger.failed, ledger.cancelled, ledger.live, ledger.held_bytes)
    assert {*stayers, leaver} == set(left)


@virtual_time
async def test_empty_is_when_the_last_has_ended():
    """One of two is not enough."""
    ledger, _ = new_ledger()
    a, _ = opened(ledger, "a", deadline=3.0), opened(ledger, "b", deadline=5.0)
    ledger.settle(a, Result("A"))

    await ledger.wait_empty()
    assert 5.0 == now()


@virtual_time
async def test_nothing_accepted_is_empty():
    """There is nothing to wait for."""
    ledger, _ = new_ledger()

    await ledger.wait_empty()
    assert 0 == ledger.live


@virtual_time
async def test_an_item_expires_while_every_runner_is_busy():
    """Nobody has to finish anything for it."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=1)
        running = batcher.enqueue_nowait("a", urgency=0)
        waiting = batcher.enqueue_nowait("b", deadline=5.0)

        with pytest.raises(DeadlineExceeded, match="while the item was waiting"):
            await waiting.wait()
        assert (5.0, [["a"]], []) == (now(), runner.batches, runner.dropped)
        runner.answer("a")
        await running.wait()


@virtual_time
async def test_an_item_expires_while_it_runs():
    """The runner is told, and its late answer is dropped."""
    async with new_batcher() as batcher:
        runner = GatedRunner(batcher, room=1)
        ticket = batcher.enqueue_nowait("a", deadline=5.0)

        with pytest.raises(DeadlineExceeded, match="while the item was running"):
            await ticket.wait()
        assert ["a"] == runner.dropped
        runner.answer("a")
        assert (0, {"running": 1}) == (batcher.stats().answered, batcher.stats().expired)


@virtual_time
async def test_nothing_is_sent_after_its_deadline():
    """Even if its timer comes late, and however many of them stand first."""
    ahead = [0.0]
    async with new_batcher(clock=lambda: now() + ahead[0]) as batcher:
        runner = GatedRunner(batcher)
        late = [batcher.enqueue_nowait(item, deadline=5.0) for item in "abc"]
        ticket = batcher.enqueue_nowait("d", deadline=50.0)
        ahead[0] = 5.0
        runner.seat.grant(1)
        await pass_until(0.0)

        assert ([["d"]], {"waiting": 3}) == (runner.batches, batcher.stats().expired)
        runner.answer("d")
        await ticket.wait()
        for each in late:
            with pytest.raises(DeadlineExceeded):
                await each.wait()
