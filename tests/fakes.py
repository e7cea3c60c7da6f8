"""Stand-ins for time, for runners and for models, led by the test step by step. Nothing here waits for real."""

import asyncio
import functools

from batcher import Batcher, Policy, Profile, Result
from benchmarks.simulation.virtual import VirtualLoop


def virtual_time(test):
    """Run an async test on a `VirtualLoop`. An error that escapes a callback fails it."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))
            assert [] == runner.get_loop().escaped

    return run


def now():
    """Give the virtual time in seconds."""
    return asyncio.get_running_loop().time()


async def all_blocked():
    """Wait until everything else has done what it can at this moment."""
    await asyncio.get_running_loop().all_blocked()


async def pass_until(when):
    """Let time go on to `when`, and all that falls due by then be done."""
    await asyncio.sleep(when - now())
    await all_blocked()


def new_batcher(run_batch=None, *, clock=None, **limits):
    """Give a batcher on virtual time. An item has 100 s where the test says nothing else."""
    return Batcher(run_batch, Policy(**{"slo_s": 100.0, **limits}), clock=clock or now)


def measured(seconds):
    """Give a profile that has seen each size run once."""
    profile = Profile()
    for size, each in seconds.items():
        profile.observe(size, each)
    return profile


def lingering_batcher(**limits):
    """Give a batcher that knows a batch to cost 8 s, and 1 s an item on top."""
    batcher = new_batcher(max_batch=16, **limits)
    for size in (1, 8, 16):
        batcher.profile.observe(size, 8.0 + size)
    return batcher


class GatedRunner:
    """A runner at a seat of its own, whose entries end when the test says so."""

    def __init__(self, batcher, room=0):
        self.batches = []
        """The items of each batch it was sent."""
        self.dropped = []
        """The items nobody waits for any more."""
        self._entries = {}
        self.seat = batcher.attach(self)
        self.seat.grant(room)

    def send(self, entries):
        self.batches.append([entry.item for entry in entries])
        self._entries |= {entry.item: entry for entry in entries}

    def drop(self, entry):
        self.dropped.append(entry.item)

    def finish(self, item, outcome):
        """End an entry as `outcome` says."""
        self.seat.finish(self._entries.pop(item), outcome)

    def answer(self, *items):
        """Answer each item by its upper case."""
        for item in items:
            self.finish(item, Result(item.upper()))


class GatedModel:
    """A `run_batch` whose batches, numbered from 0, end when the test says so."""

    def __init__(self):
        self.batches = []
        """The items of each batch it was given."""
        self._ends = []

    async def __call__(self, items):
        self.batches.append(list(items))
        self._ends.append(asyncio.get_running_loop().create_future())
        return await self._ends[-1]

    def finish(self, number, results=None):
        """Let a batch return `results`; by default each item in upper case."""
        if results is None:
            results = [item.upper() for item in self.batches[number]]
        self._ends[number].set_result(results)

    def fail(self, number, error):
        """Let a batch raise `error`."""
        self._ends[number].set_exception(error)

    def cancel(self, number):
        """Let a batch be cancelled by something inside it."""
        self._ends[number].cancel()
