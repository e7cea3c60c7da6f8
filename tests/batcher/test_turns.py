"""Several batchers on the same cores: none idles while there is work, and nobody is starved."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from batcher import Batcher, Policy, Refused, Result
from batcher.errors import DeadlineExceeded
from batcher.scheduling.turns import Claim, cores_for, is_before
from batcher.turns import Turns
from tests.fakes import now, virtual_time

CORES, SECONDS = 2, 30.0
URGENT, USUAL = 1, 3


class Cores:
    """Counts how many run, and the time in which one idled although somebody waited."""

    def __init__(self):
        self.running = 0
        self.most = 0
        self.idle_s = 0.0
        self.lanes = []
        self._since = 0.0

    def change(self, by):
        waits = any(lane.batcher.stats().waiting for lane in self.lanes)
        if waits and self.running < CORES:
            self.idle_s += (CORES - self.running) * (now() - self._since)
        self._since = now()
        self.running += by
        self.most = max(self.most, self.running)


class Worker:
    """Runs what it is sent, in batches of up to four: 0.1 s, and `each_s` per item."""

    def __init__(self, lane, cores, each_s):
        self._cores = cores
        self._each_s = each_s
        self._jobs = []
        self._there = asyncio.Event()
        self.slot = lane.batcher.attach(self)
        self.slot.grant(8)

    def send(self, jobs):
        self._jobs += jobs
        self._there.set()

    def drop(self, job):
        pass

    async def run(self):
        while True:
            await self._there.wait()
            self._there.clear()
            while self._jobs:
                batch, self._jobs = self._jobs[:4], self._jobs[4:]
                self._cores.change(1)
                seconds = 0.1 + self._each_s * len(batch)
                await asyncio.sleep(seconds)
                self._cores.change(-1)
                self.slot.observe_batch(len(batch), seconds)
                for job in batch:
                    self.slot.finish(job, Result(job.item))


class Lane:
    """A batcher with two workers on shared cores, and what became of what was sent to it."""

    def __init__(self, turns, share=1.0, slo_s=5.0):
        self.batcher = Batcher(policy=Policy(max_batch=4, slo_s=slo_s), clock=now, turns=turns, share=share)
        self.answered = self.refused = self.late = 0

    async def __aenter__(self):
        await self.batcher.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.batcher.__aexit__(*error)

    async def offer(self, rate, until_s, urgency=USUAL):
        """Send items at a rate, until then."""
        async with asyncio.TaskGroup() as tasks:
            while now() < until_s:
                tasks.create_task(self._one(urgency))
                await asyncio.sleep(1 / rate)

    async def _one(self, urgency):
        try:
            await self.batcher.submit(object(), urgency=urgency)
            self.answered += 1
        except Refused:
            self.refused += 1
        except DeadlineExceeded:
            self.late += 1


async def served(*offers, shares=(1.0, 1.0), each_s=(0.05, 0.05), seconds=SECONDS):
    """Two lanes on two cores, each offered a rate (and an urgency); the lanes, and the cores."""
    cores, turns = Cores(), Turns(CORES, now)
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        lanes = [await stack.enter_async_context(Lane(turns, share)) for share in shares]
        cores.lanes = lanes
        workers = [Worker(lane, cores, each) for lane, each in zip(lanes, each_s, strict=True) for _ in range(CORES)]
        running = [tasks.create_task(worker.run()) for worker in workers]
        await asyncio.gather(
            *(lane.offer(rate, seconds, *urgency) for lane, (rate, *urgency) in zip(lanes, offers, strict=True))
        )
        for task in running:
            task.cancel()
    return lanes, cores


CAPACITY = CORES * 4 / 0.3  # items per second: full batches, 50 ms per item


@virtual_time
async def test_one_busy_batcher_uses_all_cores():
    """What the other leaves is lent."""
    (busy, _), cores = await served((2 * CAPACITY,), (0.1,))

    assert busy.answered >= 0.95 * SECONDS * CAPACITY
    assert cores.most <= CORES


@virtual_time
async def test_two_that_flood_share_the_cores():
    """Each gets its half, no more run than there are cores, and hardly any time is lost."""
    (one, other), cores = await served((2 * CAPACITY,), (2 * CAPACITY,))

    for lane in (one, other):
        assert lane.answered >= 0.95 * SECONDS * CAPACITY / 2
        assert lane.late <= 0.005 * lane.answered
    assert cores.most <= CORES
    assert cores.idle_s <= 0.01 * SECONDS * CORES


@virtual_time
async def test_a_flood_takes_nothing_from_one_within_its_share():
    """Nearly everything is answered that it sends, and the flood gets its own share at least."""
    (flood, modest), _ = await served((3 * CAPACITY,), (0.3 * CAPACITY,))

    assert modest.answered >= 0.95 * SECONDS * 0.3 * CAPACITY
    assert flood.answered >= 0.95 * SECONDS * 0.5 * CAPACITY


@virtual_time
async def test_shares_are_kept():
    """Three quarters and one, whatever is offered."""
    (large, small), _ = await served((2 * CAPACITY,), (2 * CAPACITY,), shares=(0.75, 0.25))

    assert large.answered >= 0.95 * SECONDS * 0.75 * CAPACITY
    assert small.answered >= 0.95 * SECONDS * 0.25 * CAPACITY


@virtual_time
async def test_a_heavy_model_and_a_light_one_share_time():
    """Not images: ten times as heavy, a tenth as many."""
    (light, heavy), _ = await served((2 * CAPACITY,), (CAPACITY,), each_s=(0.05, 0.5))

    heavy_capacity = CORES * 4 / 2.1
    assert light.answered >= 0.9 * SECONDS * CAPACITY / 2
    assert heavy.answered >= 0.9 * SECONDS * heavy_capacity / 2


@virtual_time
async def test_what_is_less_urgent_than_any_client_only_uses_what_is_left():
    """As shadows do: they are owed no share."""
    (answers, shadows), _ = await served((0.9 * CAPACITY,), (CAPACITY, 8))

    assert answers.answered >= 0.97 * SECONDS * 0.9 * CAPACITY
    assert shadows.answered > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Claim(URGENT, 9.0, 0.0, 1.0), Claim(USUAL, 1.0, 0.0, 1.0)),
        (Claim(USUAL, 1.0, 0.0, 1.0), Claim(USUAL, 2.0, 0.0, 1.0)),
        (Claim(USUAL, 9.0, 0.0, 1.0), Claim(URGENT, 1.0, 1.0, 1.0)),  # it lacks a second
        (Claim(URGENT, 1.0, 1.0, 1.0), Claim(8, 1.0, 0.0, 1.0)),  # what is not urgent at all lacks nothing
    ],
    ids=["more urgent", "due first", "less than its share", "only what is left"],
)
def test_who_goes_first(one, other):
    """One rule after the other."""
    assert is_before(one, other)
    assert not is_before(other, one)


def test_cores_that_can_be_counted_on():
    """The part that is guaranteed, or what others leave."""
    assert 1.0 == cores_for(1.0, [1.0, 1.0], 2, 2.0)
    assert 1.5 == cores_for(1.0, [1.0, 1.0], 2, 0.5)
    assert 2.0 == cores_for(1.0, [1.0], 2, 0.0)
