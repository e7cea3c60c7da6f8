"""One inference that identical tasks under way at the same time share.

A flight is one job of the batcher and everyone who waits for it. It belongs to none of them: whoever leaves, the
first one included, leaves the others their answer; when the last one leaves, the job is taken back.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from batcher import DeadlineExceeded, Refused, WouldBeLate
from batcher.job import Failed, Handle, Oneshot, Result
from server.contract.answer import Reply
from server.contract.task import Task
from server.engine.submission import Submission
from server.engine.wire_errors import from_words, to_words


class Waiter:
    """One submission that waits for a flight: its terms, and the oneshot that answers it alone."""

    __slots__ = ("deadline", "oneshot", "urgency")

    def __init__(self, submission: Submission) -> None:
        self.deadline = submission.deadline
        self.urgency = submission.urgency
        self.oneshot: Oneshot[Reply] = Oneshot()

    def fail(self, error: Exception) -> None:
        """Raise this to whoever waits."""
        self.oneshot.settle(Failed(error))


class Enqueue(Protocol):
    """Queues the job of a flight, by a deadline and at an urgency. Raises what the batcher refuses it with."""

    def __call__(self, job: "Flight | Submission", deadline: float, urgency: int, /) -> Handle[Task, Reply]: ...


class Flight:
    """One job, and its waiters in the order in which they came. The job's terms are the best of theirs.

    The whole state: the waiters, the handle of the job, and the timer of the waiter who stops waiting first while
    others go on; the last deadline is the job's own.
    """

    def __init__(self, first: Submission, enqueue: Enqueue, clock: Callable[[], float]) -> None:
        self.task = first.task
        self.prepare_s = first.prepare_s
        self.losses = first.losses
        """Workers that were lost with the same content before."""
        self.waiters: list[Waiter] = []
        self._enqueue = enqueue
        self._clock = clock
        self._handle: Handle[Task, Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_end: Callable[[], None] = _nothing

    @property
    def ended(self) -> bool:
        """Nobody waits any more, or all are answered."""
        return self._handle is None

    def start(self, waiter: Waiter) -> None:
        """Queue the job for its first waiter. Raises what the batcher refuses it with."""
        self._launch([waiter])

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call this once, when all have been answered or have left."""
        self._on_end = callback

    def join(self, waiter: Waiter) -> None:
        """One more waits for it."""
        self.waiters.append(waiter)
        self._reschedule()

    def leave(self, waiter: Waiter) -> None:
        """This one no longer waits; does nothing for one who has been answered."""
        if waiter not in self.waiters:
            return
        self.waiters.remove(waiter)
        if self.waiters:
            self._reschedule()
        elif self._handle:
            self._handle.cancel()
            self._end()

    def answer(self, reply: Reply) -> None:
        """Answer everyone by this, wherever it comes from, and take the job back if it has not ended."""
        handle, waiters = self._handle, self._end()
        if handle:
            handle.cancel()
        for waiter in waiters:
            waiter.oneshot.settle(Result(reply))
            if reply.source == "inference":
                reply = reply._replace(source="flight")

    # -- inside ------------------------------------------------------------------------------------

    def _launch(self, waiters: list[Waiter]) -> None:
        first = min(waiters, key=_deadline)
        handle = self._enqueue(self, first.deadline, min(waiter.urgency for waiter in waiters))
        handle.notify(lambda: self._on_outcome(handle))
        self._handle, self.waiters = handle, waiters
        if len(waiters) > 1:
            self._reschedule()

    def _reschedule(self) -> None:
        """The job is due when the first one wants it, and expires when the last one stops waiting."""
        assert self._handle
        deadlines = [waiter.deadline for waiter in self.waiters]
        first, last = min(deadlines), max(deadlines)
        self._handle.reschedule(deadline=first, expires=last, urgency=min(waiter.urgency for waiter in self.waiters))
        self._disarm()
        if first < last:
            self._timer = asyncio.get_running_loop().call_later(first - self._clock(), self._on_timer)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        assert self._handle
        now, stage = self._clock(), self._handle.stage.value
        for waiter in [waiter for waiter in self.waiters if waiter.deadline <= now]:
            waiter.fail(DeadlineExceeded(stage))
            self.leave(waiter)
        if self.waiters:
            self._reschedule()  # event loops may be early: set again

    def _on_outcome(self, handle: Handle[Task, Reply]) -> None:
        """The job has ended. CORRECTNESS: what was taken back, or launched anew, is no business of the waiters'."""
        try:
            reply = handle.take()
        except asyncio.CancelledError:
            return
        except WouldBeLate as error:
            if handle is self._handle:
                self._on_drop(error)
        except Exception as error:  # noqa: BLE001 - each waiter is told
            if handle is self._handle:
                self._fail(error)
        else:
            if handle is self._handle:
                self.answer(reply)

    def _on_drop(self, error: WouldBeLate) -> None:
        """The job was not run, for it would be late for the first one. The others may have more time."""
        waiters = self.waiters
        while True:
            first = min(waiters, key=_deadline)
            waiters = [waiter for waiter in waiters if waiter is not first]
            first.fail(error)
            if not waiters:
                self._end()
                return
            try:
                self._disarm()
                self._launch(waiters)
                return
            except WouldBeLate as late:
                error = late
            except Refused as refusal:
                self.waiters = waiters
                self._fail(refusal)
                return

    def _fail(self, error: Exception) -> None:
        """One exception object per waiter: a shared one would collect everybody's traceback."""
        words = to_words(error)
        for number, waiter in enumerate(self._end()):
            waiter.fail(from_words(*words) if number else error)

    def _end(self) -> list[Waiter]:
        """Nobody waits from now on; gives those who did."""
        self._disarm()
        waiters, self.waiters, self._handle = self.waiters, [], None
        self._on_end()
        self._on_end = _nothing
        return waiters


def _deadline(waiter: Waiter) -> float:
    return waiter.deadline


def _nothing() -> None: ...
