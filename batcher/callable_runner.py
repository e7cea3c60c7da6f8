"""A plain `async def run_batch(items) -> results` as a runner: one batch at a time, none committed ahead."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from batcher.entry import Entry
from batcher.errors import BatchFailed
from batcher.oneshot import Failed, Result
from batcher.seat import Seat

T = TypeVar("T")
R = TypeVar("R")

RunBatch = Callable[[Sequence[T]], Awaitable[Sequence[R]]]


class CallableRunner(Generic[T, R]):
    """Runs `run_batch` in `tasks`; whatever it raises fails that batch only."""

    def __init__(
        self, run_batch: RunBatch[T, R], max_batch: int, tasks: asyncio.TaskGroup, clock: Callable[[], float]
    ) -> None:
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._tasks = tasks
        self._clock = clock
        self._seat: Seat[T, R]

    def sit(self, seat: Seat[T, R]) -> None:
        """Take the seat and grant the first batch."""
        self._seat = seat
        seat.grant(self._max_batch)

    def send(self, entries: Sequence[Entry[T, R]]) -> None:
        self._seat.grant(0)
        self._tasks.create_task(self._run(entries))

    def drop(self, entry: Entry[T, R]) -> None:
        """A running batch is left to finish; the answer is dropped."""

    async def _run(self, entries: Sequence[Entry[T, R]]) -> None:
        error: BaseException | None = None
        started = self._clock()
        try:
            results = await self._run_batch([entry.item for entry in entries])
            if len(results) != len(entries):
                raise BatchFailed(f"{len(entries)} items gave {len(results)} results")
            self._seat.observe(len(entries), self._clock() - started)
            for entry, result in zip(entries, results, strict=True):
                self._seat.finish(entry, Result(result))
        except Exception as raised:  # noqa: BLE001 - the user's code may raise anything: it fails this batch
            error = raised
        finally:
            for entry in self._seat.held.intersection(entries):
                self._seat.finish(entry, Failed(_failure(error)))
            self._seat.grant(self._max_batch)


def _failure(cause: BaseException | None) -> BatchFailed:
    """A fresh exception for each waiter: a shared one would collect every waiter's traceback and notes."""
    failure = BatchFailed(str(cause) or type(cause).__name__ if cause else "the batch was cancelled")
    failure.__cause__ = cause
    return failure
