"""For tests of programs that use a batcher: virtual time, and executors led by the test step by step.

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test())  # a sleep of an hour takes no time

Nothing here waits for real.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Sequence
from typing import Any, Generic, TypeVar

from batcher.batcher import Batcher
from batcher.job import Again, Failed, Job, Result

T = TypeVar("T")
R = TypeVar("R")

_FOREVER_S = 86_400.0  # asyncio never sleeps longer at a time: a timer as far off as that is no hope
_SPINNING = 10_000  # polls in a row at one moment: something wakes itself without end


class Hang(Exception):
    """Every task waits, and nothing is going to happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next timer instead of sleeping. Its time starts at 0.

    It raises `Hang` where a real loop would wait for ever. `escaped` keeps what escapes a callback.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._polls = 0
        self._until_blocked: list[asyncio.Future[None]] = []
        self.escaped: list[dict[str, Any]] = []
        super().__init__(_Selector(self))
        self.set_exception_handler(lambda _, context: self.escaped.append(context))

    def time(self) -> float:
        return self._seconds

    async def all_blocked(self) -> None:
        """Wait until every other task waits for the test or for a timer; time stands still."""
        blocked = self.create_future()
        self._until_blocked.append(blocked)
        await blocked

    def on_poll(self, timeout: float | None) -> None:
        """The loop is about to sleep for so long; None: for ever."""
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
    """Tells the loop how long it would sleep, and does not sleep."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.on_poll(timeout)
        return super().select(0)


class GatedExecutor(Generic[T, R]):
    """An executor whose jobs end when the test says so. Items have to be hashable."""

    def __init__(self, batcher: Batcher[T, R], credits: int = 0) -> None:
        self.batches: list[list[T]] = []
        """The items of each batch it was sent."""
        self.dropped: list[T] = []
        """The items whose waiters have left."""
        self.jobs: dict[T, Job[T, R]] = {}
        """What it holds, by item."""
        self.slot = batcher.attach(self)
        self.slot.grant(credits)

    def send(self, jobs: Sequence[Job[T, R]]) -> None:
        self.batches.append([job.item for job in jobs])
        self.jobs |= {job.item: job for job in jobs}

    def drop(self, job: Job[T, R]) -> None:
        self.dropped.append(job.item)

    def finish(self, item: T, outcome: Result[R] | Failed | Again) -> None:
        """End the job of this item. Raises `KeyError` if it holds none."""
        self.slot.finish(self.jobs.pop(item), outcome)


class GatedModel(Generic[T, R]):
    """A `run_batch` whose batches, numbered from 0, end when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[T]] = []
        """The items of each batch it was given."""
        self._ends: list[asyncio.Future[Sequence[R]]] = []

    def __call__(self, items: Sequence[T]) -> Awaitable[Sequence[R]]:
        self.batches.append(list(items))
        self._ends.append(asyncio.get_running_loop().create_future())
        return self._ends[-1]

    def finish(self, number: int, results: Sequence[R]) -> None:
        """Let a batch return `results`."""
        self._ends[number].set_result(results)

    def fail(self, number: int, error: Exception) -> None:
        """Let a batch raise `error`."""
        self._ends[number].set_exception(error)

    def cancel(self, number: int) -> None:
        """Let a batch be cancelled by something inside it."""
        self._ends[number].cancel()
