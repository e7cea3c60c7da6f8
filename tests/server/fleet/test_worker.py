"""Dispatch's end of a worker's socket, with a worker of our own at the other end: a real socket pair."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest

from batcher import Batcher, Policy
from preprocess.header import Header
from server.contract.errors import ImageRejected, ModelFailed, TensorRejected
from server.contract.metadata import ModelMetadata, TensorSpec
from server.contract.task import ImageTask, TensorTask
from server.contract.wire import (
    Begin,
    Broken,
    Done,
    Drop,
    FrameReader,
    ImageItem,
    Load,
    Loaded,
    LoadFailed,
    Misfit,
    Overspent,
    Prepare,
    Prepared,
    Ran,
    Ready,
    Rejected,
    TensorItem,
    Trial,
    TrialFailed,
    TrialResult,
    frame,
)
from server.fleet.worker import CannotLoad, TrialImpossible, Worker, WorkerLost

IMAGE = ImageTask(b"image", Header("jpeg", 4000, 3000))
LOAD = Load("m.onnx", 8, 1000)
MODEL = ModelMetadata(name="m", version="1", digest="ab", provider="CPUExecutionProvider")
READY = Ready(MODEL, 2, {1: 0.5})


class FarEnd:
    """The worker's side: reads what dispatch sends, sends what the test says."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.frames = FrameReader()
        self.pending = []

    async def next(self):
        while not self.pending:
            self.pending += self.frames.feed(await self.reader.read(65536))
        return self.pending.pop(0)

    def send(self, message, payload=b""):
        self.writer.write(frame(message, payload))


@asynccontextmanager
async def connected(policy=None):
    """A batcher, the worker's protocol, and its far end."""
    async with Batcher(policy=policy) as batcher:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        _, worker = await loop.create_unix_connection(lambda: Worker(batcher, LOAD), sock=ours)
        far = FarEnd(*await asyncio.open_unix_connection(sock=theirs))
        try:
            yield batcher, worker, far
        finally:
            worker.hang_up()
            far.writer.close()
            await worker.lost.wait()


async def ready(far, worker):
    assert LOAD == (await far.next())[0]
    far.send(READY)
    assert READY == await worker.ready


def run(test):
    asyncio.run(asyncio.wait_for(test(), 20))


def test_ready_worker_is_sent_images_and_its_answers_come_back():
    """The payload goes out as it is, the answer's members come back as they are, and runs are learned from."""

    async def test():
        async with connected() as (batcher, worker, far):
            await ready(far, worker)
            waiting = asyncio.ensure_future(batcher.submit(IMAGE))
            item, payload = await far.next()
            assert (ImageItem, 12_000_000, b"image") == (type(item), item.pixels, payload)
            far.send(Ran("m", "1", 1, 0.25))
            far.send(Done(item.seq, "m", "1", 1.0, 0.1, 0.25, 1), b'"a":1')
            reply = await waiting
            assert (b'"a":1', 1.0, 0.1, 0.25, 1) == (
                reply.members, reply.begun, reply.decode_s, reply.infer_s, reply.batch,
            )  # fmt: skip
            assert 0.43 == pytest.approx(batcher.cost_model.run_s(1), abs=0.005)  # 0.5 from ready, moved by one sample

    run(test)


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        (lambda seq: Rejected(seq, "image_corrupt"), ImageRejected, "image_corrupt"),
        (lambda seq: Misfit(seq, "8 x 8"), TensorRejected, "8 x 8"),
        (lambda seq: Broken(seq, "boom"), ModelFailed, "boom"),
    ],
)
def test_failures_reach_their_own_waiter(message, error, text):
    """The image's fault and the model's fault are told apart."""

    async def test():
        async with connected() as (batcher, worker, far):
            await ready(far, worker)
            waiting = asyncio.ensure_future(batcher.submit(IMAGE))
            item, _ = await far.next()
            far.send(message(item.seq))
            with pytest.raises(error, match=text):
                await waiting

    run(test)


def test_prepared_tensor_goes_out_and_outputs_come_back():
    """Names, shapes and dtypes travel as data, the bytes as they are."""
    specs = (TensorSpec("a", "FP32", (2,)), TensorSpec("b", "UINT8", ()))

    async def test():
        async with connected() as (batcher, worker, far):
            await ready(far, worker)
            waiting = asyncio.ensure_future(batcher.submit(TensorTask(bytes(12), "FP32", (3, 1, 1))))
            item, payload = await far.next()
            assert TensorItem(item.seq, "m", "1", "tensors", item.deadline, "FP32", (3, 1, 1)) == item
            assert bytes(12) == payload
            far.send(Done(item.seq, "m", "1", 1.0, 0.1, 0.25, 1, specs), b"12345678" + b"9")
            reply = await waiting
            assert [(specs[0], b"12345678"), (specs[1], b"9")] == [*reply.tensors]
            assert b"" == reply.members
            assert MODEL == reply.model

    run(test)


def test_cancelled_image_is_dropped_at_the_worker():
    """Dispatch tells the worker, so that it need not decode it."""

    async def test():
        async with connected() as (batcher, worker, far):
            await ready(far, worker)
            handle = batcher.enqueue_nowait(IMAGE)
            item, _ = await far.next()
            handle.cancel()
            assert Drop(item.seq) == (await far.next())[0]
            far.send(Done(item.seq, "m", "1", 0.0, 0.0, 0.0, 1))

    run(test)


def test_load_that_fails_is_told():
    """The reason goes to whoever started the worker."""

    async def test():
        async with connected() as (_, worker, far):
            far.send(LoadFailed("no such operator"))
            with pytest.raises(CannotLoad, match="no such operator"):
                await worker.ready

    run(test)


def test_worker_that_goes_before_it_is_ready():
    """Lost, not failed: another try may do better."""

    async def test():
        async with connected() as (_, worker, far):
            far.writer.close()
            with pytest.raises(WorkerLost):
                await worker.ready

    run(test)


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(b"\xff" * 64, id="noise"),
        pytest.param(frame(LOAD), id="what only dispatch says"),
        pytest.param(frame(Done(99, "m", "1", 0, 0, 0, 1)), id="an image it does not hold"),
        pytest.param(frame(Done(0, "m", "1", 0, 0, 0, 1, (TensorSpec("a", "FP32", (2,)),)), b"1"), id="half a tensor"),
        pytest.param(frame(READY), id="ready twice"),
        pytest.param(frame(LoadFailed("late")), id="failed after it was ready"),
        pytest.param(b"\x06\0\0\0\0\0\0\0\x92\xa4\xff\xfe\xfd\xfc", id="a name that is no text"),
    ],
)
def test_worker_that_talks_nonsense_is_cut_off_and_loses_nothing(nonsense):
    """Its connection ends, and what it held waits for another worker."""

    async def test():
        async with connected() as (batcher, worker, far):
            await ready(far, worker)
            handle = batcher.enqueue_nowait(IMAGE)
            await far.next()
            far.writer.write(nonsense)
            await worker.lost.wait()
            assert (1, 0, 1) == (batcher.stats().waiting, batcher.stats().executors, batcher.stats().retried)
            handle.cancel()

    run(test)


def test_image_that_outlives_every_worker_is_given_up():
    """A retry is worth something only so often: then its own waiter hears of it."""

    async def test():
        async with connected(Policy(max_losses=1)) as (batcher, worker, far):
            await ready(far, worker)
            waiting = asyncio.ensure_future(batcher.submit(IMAGE))
            await far.next()
            far.writer.close()
            with pytest.raises(Exception, match="1 executors were lost with it"):
                await waiting

    run(test)


# ---- Start-up benchmarks ----

TRIAL = Trial(1, 8, 0.0, 0.1)


def test_worker_in_its_audition_is_told_what_to_try_and_gets_no_images():
    """Each order is answered; it has a slot only when it has been told to begin and is ready."""

    async def test():
        async with connected() as (batcher, worker, far):
            await far.next()
            far.send(Loaded(8, 0.5, 0.25))
            assert Loaded(8, 0.5, 0.25) == await worker.loaded
            preparing = asyncio.ensure_future(worker.prepare(2))
            assert Prepare(2) == (await far.next())[0]
            far.send(Prepared())
            await preparing
            trying = asyncio.ensure_future(worker.try_out(TRIAL))
            assert TRIAL == (await far.next())[0]
            far.send(TrialResult(0.5, 0.25, 3))
            assert TrialResult(0.5, 0.25, 3) == await trying
            assert 0 == batcher.stats().executors
            worker.begin(2)
            assert Begin(2) == (await far.next())[0]
            far.send(READY)
            await worker.ready
            assert 1 == batcher.stats().executors

    run(test)


def test_trial_that_fails_says_why_and_the_next_goes_on():
    """One layout is out of the question; the worker is not."""

    async def test():
        async with connected() as (_, worker, far):
            await far.next()
            failing = asyncio.ensure_future(worker.try_out(TRIAL))
            await far.next()
            far.send(TrialFailed("no memory"))
            with pytest.raises(TrialImpossible, match="no memory"):
                await failing
            trying = asyncio.ensure_future(worker.try_out(TRIAL))
            await far.next()
            far.send(TrialResult(0.5, 0.25, 3))
            assert 3 == (await trying).batches

    run(test)


@pytest.mark.parametrize("told", [False, True])
def test_worker_that_dies_in_its_audition_is_lost(told):
    """Whether it was told to do something or is told afterwards, nobody waits for ever."""

    async def test():
        async with connected() as (_, worker, far):
            await far.next()
            trying = asyncio.ensure_future(worker.try_out(TRIAL)) if told else None
            if told:
                await far.next()
            far.writer.close()
            await worker.lost.wait()
            with pytest.raises(WorkerLost):
                await (trying or worker.try_out(TRIAL))
            with pytest.raises(WorkerLost):
                await worker.loaded

    run(test)


def test_a_worker_that_ends_because_of_one_image_answers_that_one_alone():
    """The others go to the next worker, and none is suspected; this one gets nothing more, and hangs up."""

    async def test():
        async with connected() as (batcher, worker, far):
            await ready(far, worker)
            deadline = time.monotonic() + 60.0
            costly, other = (asyncio.ensure_future(batcher.submit(IMAGE, deadline=deadline)) for _ in range(2))
            first, _ = await far.next()
            await far.next()
            far.send(Overspent(first.seq))
            with pytest.raises(ImageRejected, match="image_too_costly"):
                await costly
            await worker.lost.wait()
            stats = batcher.stats()
            assert (worker.overspent, worker.lost_with, other.done()) == (True, (), False)
            assert (stats.waiting, stats.retried) == (1, 1)
            other.cancel()

    run(test)


# ---- Silence ----


@asynccontextmanager
async def two_workers():
    """A batcher with two workers of batches of one, each with two images; `jobs(far)` reads the numbers of its own."""
    load = Load("m.onnx", 1, 1000)
    async with Batcher() as batcher:
        ends = []
        for _ in range(2):
            ours, theirs = socket.socketpair()
            _, worker = await asyncio.get_running_loop().create_unix_connection(
                lambda: Worker(batcher, load), sock=ours
            )
            far = FarEnd(*await asyncio.open_unix_connection(sock=theirs))
            await far.next()
            far.send(READY)
            await worker.ready
            ends.append((worker, far))
        deadline = time.monotonic() + 60.0
        waiting = [asyncio.ensure_future(batcher.submit(IMAGE, deadline=deadline)) for _ in range(4)]
        try:
            yield batcher, *ends, waiting
        finally:
            for task in waiting:
                task.cancel()
            for worker, far in ends:
                worker.hang_up()
                far.writer.close()
                await worker.lost.wait()


def test_what_a_silent_worker_cannot_have_begun_goes_to_another():
    """The first image stays with it. It is told to drop the other, and gets nothing more until it is heard."""

    async def test():
        async with two_workers() as (batcher, (silent, far), (_, other), waiting):
            first, second = [(await far.next())[0].seq for _ in range(2)]
            assert 1 == silent.doubt()
            assert Drop(second) == (await far.next())[0]
            assert (1, 1, 1) == (silent.held, batcher.executors, batcher.stats().retried)
            for _ in range(3):
                item, _ = await other.next()
                other.send(Done(item.seq, "m", "1", 0.0, 0.0, 0.1, 1), b"")
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 3:
                done, _ = await asyncio.wait(waiting, timeout=0.01)
            far.send(Done(first, "m", "1", 0.0, 0.0, 0.1, 1), b"")
            await asyncio.gather(*waiting)
            assert 2 == batcher.executors

    run(test)


def test_what_a_worker_says_too_late_is_ignored():
    """It was only slow, and answers an image that another has: that one's answer counts, and nobody is cut off."""

    async def test():
        async with two_workers() as (batcher, (slow, far), (_, other), waiting):
            first, second = [(await far.next())[0].seq for _ in range(2)]
            slow.doubt()
            seqs = [(await other.next())[0].seq for _ in range(2)]
            for seq in seqs:
                other.send(Done(seq, "m", "1", 0.0, 0.0, 0.1, 1), b"other")
            retried, _ = await other.next()
            far.send(Done(second, "m", "1", 0.0, 0.0, 0.1, 1), b"slow")
            far.send(Done(first, "m", "1", 0.0, 0.0, 0.1, 1), b"slow")
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            while slow.held:
                await asyncio.wait(waiting, timeout=0.01)
            other.send(Done(retried.seq, "m", "1", 0.0, 0.0, 0.1, 1), b"other")
            replies = await asyncio.gather(*waiting)
            assert [b"other"] * 3 + [b"slow"] == sorted(reply.members for reply in replies)
            assert 2 == batcher.executors

    run(test)


def test_last_worker_that_is_silent_keeps_what_it_has():
    """There is nobody else."""

    async def test():
        async with two_workers() as (batcher, (_, _), (other, far), _):
            batcher._dispatcher.slots[0].suspend()
            await far.next()
            assert 0 == other.doubt()
            assert (2, 1) == (other.held, batcher.executors)

    run(test)
