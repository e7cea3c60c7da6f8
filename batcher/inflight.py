"""The accepted jobs, and how each of them ended: every job is settled exactly once, here."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from batcher.errors import BatcherClosed, DeadlineExceeded, Refused
from batcher.job import Failed, Job, Result, Stage

T = TypeVar("T")
R = TypeVar("R")

_SETTLED = Stage.SETTLED  # to look up a member costs a call


class InFlight(Generic[T, R]):
    """Opens, counts and settles jobs, and expires them by timers of their own.

    `on_leave(job)` is called when a job ends before its outcome came: expired, dropped, cancelled or aborted.
    Its stage still says where it stood.
    """

    def __init__(self, clock: Callable[[], float], on_leave: Callable[[Job[T, R]], None]) -> None:
        self._clock = clock
        self._on_leave = on_leave
        self._open: dict[Job[T, R], asyncio.TimerHandle] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.held_bytes = 0
        self.accepted = 0
        self.answered = 0
        self.failed = 0
        self.expired: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    @property
    def live(self) -> int:
        """Jobs whose waiter is still there."""
        return len(self._open)

    async def wait_empty(self) -> None:
        """Wait until no job is live."""
        await self._empty.wait()

    def open(self, job: Job[T, R]) -> None:
        """A job is accepted: from now on it ends exactly once, at its deadline at the latest."""
        self.accepted += 1
        self.held_bytes += job.size
        self._empty.clear()
        self._arm(job)

    def keep_until(self, job: Job[T, R], expires: float) -> None:
        """Expire a job at another time."""
        sooner, job.expires = expires < job.expires, expires
        if sooner:  # a timer that rings too early is set again
            self._open[job].cancel()
            self._arm(job)

    def settle(self, job: Job[T, R], outcome: Result[R] | Failed) -> bool:
        """Answer the waiter; False if the job had ended before."""
        if job.oneshot.done:
            return False
        if isinstance(outcome, Failed):
            self.failed += 1
        else:
            self.answered += 1
        self._close(job)
        return job.oneshot.settle(outcome)  # CORRECTNESS: last, since whoever is told at once may look

    def expire(self, job: Job[T, R]) -> None:
        """The deadline has passed."""
        if job.oneshot.settle(Failed(DeadlineExceeded(job.stage.value))):
            self.expired[job.stage.value] += 1
            self._leave(job)

    def drop(self, job: Job[T, R], refusal: Refused, reason: str) -> None:
        """A job was accepted, and is refused after all, before it was run."""
        if job.oneshot.settle(Failed(refusal)):
            self.dropped[reason] += 1
            self._leave(job)

    def cancel(self, job: Job[T, R]) -> bool:
        """The waiter leaves; False if the job had ended before."""
        # A waiter whose task was cancelled has taken the oneshot with it: not open is what says "ended".
        if job not in self._open:
            return False
        job.oneshot.abandon()
        self.cancelled[job.stage.value] += 1
        self._leave(job)
        return True

    def abort(self) -> None:
        """Fail whatever is still open."""
        for job in list(self._open):
            if job.oneshot.settle(Failed(BatcherClosed("the batcher has closed"))):
                self.failed += 1
                self._leave(job)
            else:
                self.cancel(job)

    def _leave(self, job: Job[T, R]) -> None:
        # CORRECTNESS: its oneshot is done by now, so that a runner that gives it back from within is ignored
        self._on_leave(job)
        self._close(job)

    def _close(self, job: Job[T, R]) -> None:
        job.stage = _SETTLED
        self.held_bytes -= job.size
        self._open.pop(job).cancel()
        if not self._open:
            self._empty.set()

    def _arm(self, job: Job[T, R]) -> None:
        delay = job.expires - self._clock()
        self._open[job] = asyncio.get_running_loop().call_later(delay, self._on_timer, job)

    def _on_timer(self, job: Job[T, R]) -> None:
        if self._clock() < job.expires:
            self._arm(job)  # event loops count in coarser steps than the clock and may be early
        else:
            self.expire(job)
