"""Uploads on their way: whose rest is nearly here may be waited for, and nobody else's."""

import pytest

from batcher import QueueFull
from server.engine.intake import Intake
from tests.fakes import GatedRunner, all_blocked, lingering_batcher, new_batcher, now, pass_until, virtual_time


def lingering_intake():
    """A batch costs 8 s, and 1 s an image on top; nobody asks the pool for anything here."""
    batcher = lingering_batcher()
    return batcher, Intake(batcher, pool=None)


@virtual_time
async def test_batch_waits_for_an_upload_that_is_nearly_here():
    """And runs when it is here, or broken off."""
    batcher, intake = lingering_intake()
    async with batcher:
        runner = GatedRunner(batcher, room=16)
        with intake.reserve(1000) as reservation:
            reservation.expect(7.5)
            ticket = batcher.enqueue_nowait("a")
            await pass_until(3.0)
            before = list(runner.batches)
        await all_blocked()

        assert ([], [["a"]], 3.0) == (before, runner.batches, now())
        runner.answer("a")
        await ticket.wait()


@virtual_time
@pytest.mark.parametrize("rest_s", [8.5, float("inf")])
async def test_batch_does_not_wait_for_a_slow_upload(rest_s):
    """It would come after the longest wait, or nobody knows when."""
    batcher, intake = lingering_intake()
    async with batcher:
        runner = GatedRunner(batcher, room=16)
        with intake.reserve(1000) as reservation:
            reservation.expect(rest_s)
            ticket = batcher.enqueue_nowait("a")
            await all_blocked()

            assert ([["a"]], 0.0) == (runner.batches, now())
            runner.answer("a")
            await ticket.wait()


@virtual_time
async def test_room_is_given_back_whatever_has_come_in_meanwhile():
    """An upload that was queued gives it back once more when it has been answered; by then the queue may be full."""
    batcher = new_batcher(max_queue=1)
    intake = Intake(batcher, pool=None)
    async with batcher:
        GatedRunner(batcher)
        with intake.reserve(1000) as reservation:
            reservation.release()
            ticket = batcher.enqueue_nowait("a")
            with pytest.raises(QueueFull):
                intake.reserve(1000)

        assert 0 == intake.arriving_bytes
        ticket.cancel()
