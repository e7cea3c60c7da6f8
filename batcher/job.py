"""One job on its way through the batcher: what it is, when it is due, where it stands, and how its waiter is answered.

A `Job` is the batcher's and the executor's view; a `Handle` is what the submitter holds; the `Oneshot` between them
has one sender and one receiver and is answered exactly once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar, cast

from batcher.cycles import raise_unheld
from batcher.scheduling.completion import Completion

T = TypeVar("T")
R = TypeVar("R")

Order = tuple[int, float, int]
"""Urgency, deadline, sequence number: a job's place in the queue."""


class Stage(Enum):
    """Where a job stands. It only moves forward, except for a retry: running -> waiting."""

    WAITING = "waiting"
    RUNNING = "running"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Result(Generic[R]):
    """The answer to one item."""

    value: R


@dataclass(frozen=True, slots=True)
class Failed:
    """The item cannot be answered. `error` is raised to its waiter, so it must be a fresh object."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Again:
    """The job was not run: it goes back to the queue. `lost`: the executor was lost with it."""

    reason: str
    lost: bool = False


class Oneshot(Generic[R]):
    """The receiver waits, once; the sender settles. Bound to the running event loop, not thread-safe."""

    # CORRECTNESS: an error is kept beside the future until it is raised. A future would keep it, and through the frames
    # in its traceback itself and the item: garbage that only the collector finds, with every byte of an upload.

    __slots__ = ("_callback", "_error", "_future")

    def __init__(self) -> None:
        self._future: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        self._error: Exception | None = None
        self._callback: Callable[[], None] | None = None

    @property
    def done(self) -> bool:
        """Answered, or abandoned by its receiver."""
        return self._future.done()

    def settle(self, outcome: Result[R] | Failed) -> bool:
        """Answer the receiver; False if it has been answered already or has left."""
        if self._future.done():
            return False
        if isinstance(outcome, Failed):
            self._error = outcome.error
            self._future.set_result(None)
            self._call_soon()
        else:
            self._future.set_result(outcome.value)
            if callback := self._taken_callback():
                callback()
        return True

    def abandon(self) -> bool:
        """The receiver leaves; False if it had its answer already."""
        self._call_soon()
        return self._future.cancel()

    async def wait(self) -> R:
        """Wait for the answer.

        Raises the error the oneshot was settled with. Cancellation: abandons the oneshot.
        """
        await self._future
        return self.take()

    def notify(self, callback: Callable[[], None]) -> None:
        """Instead of `wait`: call this once the oneshot is done. At once with a result, which must not be used to
        change anything in the batcher; else on the next turn of the loop."""
        self._callback = callback

    def take(self) -> R:
        """The answer of a oneshot that is done; once, instead of `wait`.

        Raises the error the oneshot was settled with; `CancelledError` if it was abandoned.
        """
        value = self._future.result()
        if self._error is not None:
            raise_unheld(self._take_error())
        return cast(R, value)

    def _call_soon(self) -> None:
        if callback := self._taken_callback():
            self._future.get_loop().call_soon(callback)

    def _taken_callback(self) -> Callable[[], None] | None:
        callback, self._callback = self._callback, None
        return callback

    def _take_error(self) -> Exception:
        error, self._error = self._error, None
        assert error is not None
        return error


@dataclass(slots=True, eq=False)
class Job(Generic[T, R]):
    """One item and its waiter. Times are seconds on the batcher's clock; only the batcher writes to it."""

    item: T
    oneshot: Oneshot[R]
    arrived: float
    deadline: float
    urgency: int
    prep_s: float
    """Expected preprocessing time: what the item takes besides its share of a batch."""
    size: int
    """Bytes it holds in memory."""
    order: Order
    stage: Stage = Stage.WAITING
    losses: int = 0
    """How many executors were lost with it."""
    expires: float = 0.0
    """When its waiter stops waiting: `deadline`, unless it was rescheduled for several waiters."""
    predicted: Completion | None = None
    """When it would be answered, from its arrival on, as predicted then; None where nothing was measured."""

    def __post_init__(self) -> None:
        self.expires = self.expires or self.deadline

    @property
    def done(self) -> bool:
        """Answered, expired, or left by its waiter: further work for it is of no use."""
        return self.oneshot.done


class JobOwner(Protocol[T, R]):
    """What a handle needs of a batcher."""

    def cancel(self, job: Job[T, R]) -> bool:
        """The waiter leaves. False if the job has ended already."""

    def advance(self, job: Job[T, R], deadline: float | None, urgency: int | None) -> None:
        """Move a waiting job forward in the queue."""

    def reschedule(self, job: Job[T, R], deadline: float, expires: float, urgency: int) -> None:
        """Give a job other terms."""


class Handle(Generic[T, R]):
    """The receiving end of one accepted job. Its holder either waits for it or cancels it."""

    __slots__ = ("_job", "_owner")

    def __init__(self, owner: JobOwner[T, R], job: Job[T, R]) -> None:
        self._owner = owner
        self._job = job

    @property
    def stage(self) -> Stage:
        return self._job.stage

    async def wait(self) -> R:
        """Wait for the answer; errors as for `Batcher.submit`. Cancellation: as `cancel`."""
        try:
            return await self._job.oneshot.wait()
        finally:
            self.cancel()  # does nothing once the answer is there

    def cancel(self) -> bool:
        """Take the job back: it leaves the queue, or its answer is dropped. False if it has ended."""
        return self._owner.cancel(self._job)

    def advance(self, *, deadline: float | None = None, urgency: int | None = None) -> None:
        """Serve it as if it had this earlier deadline or higher urgency; it is never moved back.

        Only its place in the queue changes: it still expires at its own deadline.
        """
        self._owner.advance(self._job, deadline, urgency)

    def reschedule(self, *, deadline: float, expires: float, urgency: int) -> None:
        """Serve it by this deadline at this urgency from now on, and keep it until `expires`: for an item that several
        wait for, who come and go. Does nothing once it has ended."""
        self._owner.reschedule(self._job, deadline, expires, urgency)

    def notify(self, callback: Callable[[], None]) -> None:
        """Call this once the item has ended; then `take` the answer. An answer is told at once, and then nothing may be
        queued or changed in the batcher; whatever else, on the next turn of the loop."""
        self._job.oneshot.notify(callback)

    def take(self) -> R:
        """The answer of an item that has ended; once, instead of `wait`. Errors as for `Batcher.submit`;
        `CancelledError` if it was taken back."""
        return self._job.oneshot.take()


def advanced(order: Order, deadline: float | None, urgency: int | None) -> Order:
    """The place of a job after `Handle.advance`."""
    old_urgency, old_due, sequence = order
    return (
        old_urgency if urgency is None else min(old_urgency, urgency),
        old_due if deadline is None else min(old_due, deadline),
        sequence,
    )
