"""Stand-ins for time, for runners and for models, led by the test step by step. Nothing here waits for real."""

import asyncio
import functools
import selectors

from batcher import Batcher, Policy, Result

_FOREVER_S = 86_400.0  # asyncio never sleeps longer at a time: a timer as far off as that is no hope
_SPINNING = 10_000  # polls in a row at one moment: something wakes itself without end


class Hang(Exception):
    """Everything waits and nothing is going to happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next timer instead of sleeping. Its time starts at 0.

    It raises `Hang` where a real loop would wait for ever. What escapes a callback is kept in `escaped`.
    """

    def __init__(self):
        self._seconds = 0.0
        self._polls = 0
        self._until_blocked = []
        self.escaped = []
        super().__init__(_Selector(self._on_poll))
        self.set_exception_handler(lambda _, context: self.escaped.append(context))

    def time(self):
        return self._seconds

    async def all_blocked(self):
        """Wait until every other task waits for the test or for a timer; time stands still."""
        blocked = self.create_future()
        self._until_blocked.append(blocked)
        await blocked

    def _on_poll(self, timeout):
        self._polls = self._polls + 1 if timeout == 0 else 0
        if self._polls > _SPINNING:
            raise Hang("tasks wake each other without end")
        if timeout == 0:
            return
        if self._until_blocked:
            self._until_blocked.pop().set_result(None)
        elif timeout is None or timeout >= _FOREVER_S:
            raise Hang("every task waits, and there is no timer")
        else:
            self._seconds += timeout


class _Selector(selectors.DefaultSelector):
    """Tells the loop how long it would sleep, and does not."""

    def __init__(self, on_poll):
        super().__init__()
        self._on_poll = on_poll

    def select(self, timeout=None):
        self._on_poll(timeout)
        return super().select(0)


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
