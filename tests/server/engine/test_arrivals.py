"""Uploads on their way: whose rest is nearly here may be waited for, and nobody else's."""

import pytest

from batcher import QueueFull
from server.engine.arrivals import Arrivals
from tests.fakes import GatedExecutor, all_blocked, lingering_batcher, new_batcher, now, pass_until, virtual_time


class Room:
    """A batcher alone, as an engine offers it to its arrivals."""

    def __init__(self, batcher):
        self._batcher = batcher
        self.announce = batcher.announce
        self.longest_linger_s = batcher.cost_model.fixed_s

    def check_room(self, size):
        self._batcher.check_open(size=size)


def lingering_arrivals():
    """Give a batcher whose batches cost 8 s, and 1 s per image on top, and the arrivals before it."""
    batcher = lingering_batcher()
    return batcher, Arrivals(Room(batcher))


@virtual_time
async def test_batch_waits_for_an_upload_that_is_nearly_here():
    """And runs when it is here, or broken off."""
    batcher, arrivals = lingering_arrivals()
    async with batcher:
        executor = GatedExecutor(batcher, credits=16)
        with arrivals.reserve(1000) as reservation:
            reservation.expect(7.5)
            handle = batcher.enqueue_nowait("a")
            await pass_until(3.0)
            before = list(executor.batches)
        await all_blocked()

        assert ([], [["a"]], 3.0) == (before, executor.batches, now())
        executor.answer("a")
        await handle.wait()


@virtual_time
@pytest.mark.parametrize("rest_s", [8.5, float("inf")])
async def test_batch_does_not_wait_for_a_slow_upload(rest_s):
    """It would come after the longest wait, or nobody knows when."""
    batcher, arrivals = lingering_arrivals()
    async with batcher:
        executor = GatedExecutor(batcher, credits=16)
        with arrivals.reserve(1000) as reservation:
            reservation.expect(rest_s)
            handle = batcher.enqueue_nowait("a")
            await all_blocked()

            assert ([["a"]], 0.0) == (executor.batches, now())
            executor.answer("a")
            await handle.wait()


@virtual_time
async def test_room_is_given_back_whatever_has_come_in_meanwhile():
    """An upload that was queued gives it back once more when it has been answered; by then the queue may be full."""
    batcher = new_batcher(max_queue=1)
    arrivals = Arrivals(Room(batcher))
    async with batcher:
        GatedExecutor(batcher)
        with arrivals.reserve(1000) as reservation:
            reservation.release()
            handle = batcher.enqueue_nowait("a")
            with pytest.raises(QueueFull):
                arrivals.reserve(1000)

        assert 0 == arrivals.bytes
        handle.cancel()
