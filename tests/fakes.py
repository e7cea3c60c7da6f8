"""Stand-ins for time, for executors and for models, led by the test step by step. Nothing here waits for real."""

import asyncio
import functools

from batcher import Batcher, Policy, Result, testing
from batcher.scheduling.batch_profile import BatchProfile
from batcher.scheduling.service_time import ServiceTimes


def virtual_time(test):
    """Run an async test on a `VirtualLoop`. An error that escapes a callback fails it."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=testing.VirtualLoop) as runner:
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


def profile_of(seconds):
    """Give a batch profile that has seen each size run once."""
    profile = BatchProfile()
    for size, each in seconds.items():
        profile.observe(size, each)
    return profile


def service_times_of(seconds, max_batch=4, overlap=0):
    """Give service times that have seen each batch size run once."""
    times = ServiceTimes(max_batch)
    times.set_overlap(overlap)
    for size, each in seconds.items():
        times.observe_batch(size, each)
    return times


def lingering_batcher(**limits):
    """Give a batcher that knows a batch to cost 8 s, and 1 s an item on top."""
    batcher = new_batcher(max_batch=16, **limits)
    for size in (1, 8, 16):
        batcher.observe_batch(size, 8.0 + size)
    return batcher


class GatedExecutor(testing.GatedExecutor):
    """An executor whose jobs end when the test says so."""

    def answer(self, *items):
        """Answer each item by its upper case."""
        for item in items:
            self.finish(item, Result(item.upper()))


class GatedModel(testing.GatedModel):
    """A `run_batch` whose batches, numbered from 0, end when the test says so."""

    def finish(self, number, results=None):
        """Let a batch return `results`; by default each item in upper case."""
        super().finish(number, [item.upper() for item in self.batches[number]] if results is None else results)
