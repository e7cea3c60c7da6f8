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
        self.max_bytes = self.free_bytes = batcher.policy.max_queue_bytes

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


MB = 1_000_000


class Bytes:
    """Room for so many bytes, some of them held by images that wait; a clock that stands until it is moved."""

    longest_linger_s = 0.0

    def __init__(self, max_bytes=100 * MB, queued=0):
        self.max_bytes = max_bytes
        self.free_bytes = max_bytes - queued
        self.now = 0.0
        self.given_up = []
        self.arrivals = Arrivals(self, lambda: self.now)

    def check_room(self, size):
        if size > self.free_bytes:
            raise QueueFull("no room", 1.0)

    def upload(self, name, declared=20 * MB, here=0):
        """An upload of which so much is here."""
        reservation = self.arrivals.reserve(declared, lambda error: self.given_up.append((name, type(error))))
        reservation.grow_to(here)
        return reservation

    @property
    def names(self):
        return [name for name, _ in self.given_up]


def test_what_is_declared_and_not_here_takes_little_room():
    """Ten thousand connections that declare as much as they may and send nothing."""
    room = Bytes(256 * MB)
    for n in range(10_000):
        room.upload(n)

    room.upload("good", here=20 * MB).grow_to(20 * MB)

    assert [] == room.given_up


def test_stalled_uploads_make_room_for_others():
    """All but their last byte had come, as fast as can be; nothing has since."""
    room = Bytes(100 * MB)
    for n in range(5):
        room.upload(n, here=20 * MB - 1)
    room.now = 3.0

    room.upload("good", here=10 * MB)

    assert [QueueFull] == [error for _, error in room.given_up]
    assert 90 * MB - 4 == room.arrivals.bytes


def test_trickling_does_not_keep_a_place():
    """Neither does it from the beginning."""
    room = Bytes(100 * MB)
    stalled = [room.upload(n, here=20 * MB - 100) for n in range(5)]
    for second in range(1, 60):
        room.now = float(second)
        for one in stalled:
            one.grow_to(20 * MB - 100 + second)

    room.upload("good", here=MB)

    assert 1 == len(room.given_up)


def test_small_uploads_are_not_locked_out_while_large_ones_fill_the_bound():
    """Before anybody can know that these have stalled; one of them is enough for many small ones."""
    room = Bytes(100 * MB)
    for n in range(5):
        room.upload(n, here=20 * MB - 1)
    for n in range(100):
        room.upload(f"good {n}", declared=100_000, here=100_000)

    assert 1 == len(room.given_up)


def test_among_equals_the_newest_is_given_up():
    """Of those that come as fast, the older ones are nearer to their end."""
    room = Bytes(30 * MB)
    uploads = []
    for n in range(3):
        uploads.append(room.upload(n, here=9 * MB))
        room.now += 0.1

    uploads[1].grow_to(13 * MB)

    assert [2] == room.names


def test_newest_of_equals_is_refused_and_nobody_given_up_for_it():
    """What comes last goes first."""
    room = Bytes(30 * MB)
    uploads = []
    for n in range(3):
        uploads.append(room.upload(n, here=9 * MB))
        room.now += 0.1

    with pytest.raises(QueueFull):
        uploads[2].grow_to(13 * MB)

    assert [] == room.given_up


def test_nobody_is_given_up_in_vain():
    """Where images that wait hold the bytes, no upload can make enough room."""
    room = Bytes(100 * MB, queued=95 * MB)
    room.upload("slow", here=MB)
    room.now = 10.0

    with pytest.raises(QueueFull):
        room.upload("good", here=8 * MB)

    assert [] == room.given_up


def test_upload_that_was_given_up_holds_nothing_and_takes_nothing_more():
    """Its handler may read once more before it hears."""
    room = Bytes(100 * MB)
    slow = room.upload("slow", here=100 * MB - 1)
    room.now = 5.0
    room.upload("good", here=MB)

    with pytest.raises(QueueFull):
        slow.grow_to(100 * MB)
    slow.release()

    assert MB == room.arrivals.bytes


def test_upload_that_has_ended_is_not_given_up():
    """Its bytes are the queue's by then."""
    room = Bytes(100 * MB)
    room.upload("ended", here=90 * MB).release()
    room.now = 5.0

    room.upload("good", here=90 * MB)

    assert [] == room.given_up
