"""Executors, and the slot each has at a batcher.

The protocol: an executor grants credits, counted in jobs; it is sent jobs; it finishes each of them with exactly one
outcome, or closes its slot, which sends everything it held back to the queue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from batcher.errors import BatchFailed
from batcher.job import Again, Failed, Job, Result
from batcher.scheduling.completion import Backlog, backlog
from batcher.scheduling.cost_model import CostModel
from batcher.scheduling.service_time import Sample, ServiceTimes

_MOST_OVERCOMMIT = 2  # times the credits: if the executor dies, everything it held has to be retried alone

T = TypeVar("T")
R = TypeVar("R")

RunBatch = Callable[[Sequence[T]], Awaitable[Sequence[R]]]


class Executor(Protocol[T, R]):
    """Executes what it is sent. Both methods must return at once and must not raise."""

    def send(self, jobs: Sequence[Job[T, R]]) -> None:
        """Take these jobs, in this order; never more than the free credits."""

    def drop(self, job: Job[T, R]) -> None:
        """The waiter of this job has left. Its outcome is still owed; the work may be skipped."""


class SlotOwner(Protocol[T, R]):
    """What a slot needs of a batcher."""

    def now(self) -> float:
        """Seconds on the batcher's clock."""

    def wake(self) -> None:
        """Something changed: decide again."""

    def conclude(self, job: Job[T, R], outcome: Result[R] | Failed | Again) -> None:
        """An executor is done with a job."""

    def detach(self, slot: "Slot[T, R]") -> None:
        """The executor is gone."""

    def suspend(self, slot: "Slot[T, R]") -> None:
        """The executor is sent nothing more, and no prediction counts on it."""

    def resume(self, slot: "Slot[T, R]") -> None:
        """It counts again."""


class Slot(Generic[T, R]):
    """One executor's place at a batcher: what it holds, and its credits for more. Made by `Batcher.attach`."""

    def __init__(self, owner: SlotOwner[T, R], executor: Executor[T, R], service_times: ServiceTimes) -> None:
        self.executor = executor
        self.credits = 0
        """Jobs that the executor takes at once."""
        self.held: set[Job[T, R]] = set()
        self._owner = owner
        self._service_times = service_times
        self._overcommit = 0
        self._prep_s = 0.0  # expected preprocessing time of what it holds
        self._since = 0.0  # when it last answered something, or got something to do after it had nothing
        self._begun = 0  # how much it held then: later jobs are not part of the batch that runs
        self._answered: list[tuple[float, float]] = []  # when, preprocessing time; since the last `take_sample`

    def __repr__(self) -> str:
        return f"Slot(held={len(self.held)}, free_credits={self.free_credits})"

    @property
    def free_credits(self) -> int:
        """How many more jobs the executor takes now."""
        return max(0, self.credits + min(self._overcommit, _MOST_OVERCOMMIT * self.credits) - len(self.held))

    def grant(self, credits: int) -> None:
        """From now on the executor holds up to `credits` jobs at once. Nothing it already holds is taken back."""
        self.credits = credits
        self._owner.wake()

    def suspend(self) -> None:
        """Send the executor nothing more, and count on it for nothing. It still owes the outcomes of what it holds."""
        self._owner.suspend(self)

    def resume(self) -> None:
        """Count on it again. How long it took meanwhile teaches nothing."""
        self._answered.clear()
        self._since, self._begun = self._owner.now(), len(self.held)
        self._owner.resume(self)

    def take_back(self, job: Job[T, R], reason: str) -> None:
        """Give one job it holds to another executor. Its outcome is not owed any more, and must not be reported.

        Raises `KeyError` if the slot does not hold the job.
        """
        self._let_go(job)
        self._owner.conclude(job, Again(reason))

    def finish(self, job: Job[T, R], outcome: Result[R] | Failed | Again, prep_s: float | None = None) -> None:
        """Report the outcome of one job this slot holds, and its preprocessing time in seconds if it was measured. The
        outcome of a job whose waiter has left is dropped, but teaches as much as any other.

        Raises `KeyError` if the slot does not hold the job.
        """
        self._let_go(job)
        if isinstance(outcome, Result):  # a job that failed fast says nothing of how fast others are
            self._answered.append((self._owner.now(), job.prep_s))
        if prep_s is not None:
            self._service_times.observe_prep(job.prep_s, prep_s)
        self._owner.conclude(job, outcome)

    def observe_batch(self, size: int, seconds: float) -> None:
        """Report that a batch of `size` ran for `seconds`, preprocessing aside."""
        self._service_times.observe_batch(size, seconds)

    def close(self, reason: str) -> None:
        """The executor is gone: its jobs go back to the queue, with age and deadline kept, to be retried alone."""
        self._owner.detach(self)
        held, self.held = self.held, set()
        for job in sorted(held, key=lambda job: job.order):
            self._owner.conclude(job, Again(reason, lost=True))

    def _let_go(self, job: Job[T, R]) -> None:
        self.held.remove(job)
        self._prep_s = self._prep_s - job.prep_s if self.held else 0.0

    # -- for the batcher ---------------------------------------------------------------------------

    def assign(self, jobs: Sequence[Job[T, R]], now: float) -> None:
        """This slot is about to be sent these jobs."""
        if not self.held:
            self._since, self._begun = now, 0
        self.held.update(jobs)
        if self._since == now:
            self._begun = len(self.held)
        self._prep_s += sum([job.prep_s for job in jobs])

    def overcommit(self, jobs: int) -> None:
        """Send it so many jobs beyond its credits, up to twice the credits."""
        self._overcommit = jobs

    def backlog(self, now: float, model: CostModel) -> Backlog:
        """What it holds, in seconds."""
        return backlog(len(self.held), self._prep_s, self._begun, now - self._since, model)

    def take_sample(self) -> Sample | None:
        """What it did since the last sample; None if it answered nothing."""
        answered = self._answered
        if not answered:
            return None
        until = answered[-1][0]
        sample = Sample(until - self._since, sum([prep_s for _, prep_s in answered]), len(answered))
        self._since, self._begun = until, len(self.held)
        answered.clear()
        return sample


class CallableExecutor(Generic[T, R]):
    """Runs a plain `async def run_batch(items) -> results` in `tasks`: one batch at a time, none queued behind it.
    Whatever it raises fails that batch only."""

    def __init__(
        self,
        run_batch: RunBatch[T, R],
        max_batch: int,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float],
        attach: Callable[[Executor[T, R]], Slot[T, R]],
    ) -> None:
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._tasks = tasks
        self._clock = clock
        self._slot = attach(self)
        self._slot.grant(max_batch)

    def send(self, jobs: Sequence[Job[T, R]]) -> None:
        self._slot.grant(0)
        self._tasks.create_task(self._run(jobs))

    def drop(self, job: Job[T, R]) -> None:
        """A running batch is left to finish; the answer is dropped."""

    async def _run(self, jobs: Sequence[Job[T, R]]) -> None:
        error: BaseException | None = None
        started = self._clock()
        try:
            results = await self._run_batch([job.item for job in jobs])
            if len(results) != len(jobs):
                raise BatchFailed(f"{len(jobs)} items gave {len(results)} results")
            self._slot.observe_batch(len(jobs), self._clock() - started)
            for job, result in zip(jobs, results, strict=True):
                self._slot.finish(job, Result(result))
        except Exception as raised:  # noqa: BLE001 - the user's code may raise anything: it fails this batch
            error = raised
        finally:
            for job in self._slot.held.intersection(jobs):
                self._slot.finish(job, Failed(_failure(error)))
            self._slot.grant(self._max_batch)


def _failure(cause: BaseException | None) -> BatchFailed:
    """A fresh exception for each waiter: a shared one would collect every waiter's traceback and notes."""
    failure = BatchFailed(str(cause) or type(cause).__name__ if cause else "the batch was cancelled")
    failure.__cause__ = cause
    return failure
