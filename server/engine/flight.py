"""The last stage: identical tasks that are under way at the same time share one inference.

A flight is one job of the batcher and everyone who waits for it. It belongs to none of them: whoever leaves, the
first one included, leaves the others their answer; when the last one leaves, the job is taken back.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from batcher import Batcher, DeadlineExceeded, Refused, WouldBeLate
from batcher.job import Failed, Handle, Oneshot, Result
from server.contract.answer import Reply
from server.contract.task import Task
from server.engine.submission import Identity, Submission
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

    def __call__(self, flight: "Flight", deadline: float, urgency: int, /) -> Handle[Task, Reply]: ...


class Flight:
    """One job, and its waiters in the order in which they came. The job's terms are the best of theirs.

    The whole state: the waiters, the handle of the job, and the timer of the waiter who stops waiting first while
    others go on; the last deadline is the job's own.
    """

    def __init__(
        self,
        task: Task,
        losses: int,
        enqueue: Callable[["Flight", float, int], Handle[Task, Reply]],
        clock: Callable[[], float],
    ) -> None:
        """`losses`: workers that were lost with the same content before."""
        self.task = task
        self.losses = losses
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


class Beside(Protocol):
    """Another place that may have the answer, asked while a job waits."""

    def ask(self, flight: Flight, submission: Submission) -> None:
        """Begin to ask. Does not wait; answers the flight if it finds an answer in time. Raises nothing."""

    def tell(self, submission: Submission, reply: Reply) -> None:
        """This was inferred. Does not wait; raises nothing."""


class Flights:
    """A stage, and the flights under way, by what is the same about their tasks.

    A task is hashed only if it has been admitted, or if something of the same size is under way: a refusal is cheap.
    """

    def __init__(self, batcher: Batcher[Task, Reply], clock: Callable[[], float], beside: Beside | None = None) -> None:
        self._batcher = batcher
        self._clock = clock
        self._beside = beside
        self._flights: dict[Identity, Flight] = {}
        self._sizes: Counter[int] = Counter()

    async def submit(self, submission: Submission) -> Reply:
        """As `Stage.submit`."""
        waiter = Waiter(submission)
        flight = self._found(submission)
        if flight:
            flight.join(waiter)
        else:
            flight = self._started(submission, waiter)
        try:
            reply = await waiter.oneshot.wait()
        finally:
            flight.leave(waiter)
        if self._beside and reply.source == "inference" and submission.reuse != "never":
            self._beside.tell(submission, reply)
        return reply

    def __len__(self) -> int:
        return len(self._flights)

    def _found(self, submission: Submission) -> Flight | None:
        """The flight that this one may share: equality is decided by the bytes."""
        payload = submission.task.payload
        if submission.reuse != "allowed" or len(payload) not in self._sizes:
            return None
        flight = self._flights.get(submission.identity)
        return flight if flight and flight.task.payload == payload else None

    def _started(self, submission: Submission, waiter: Waiter) -> Flight:
        flight = Flight(submission.task, submission.losses, self._enqueue, self._clock)
        flight.start(waiter)
        submission.queued = self._clock()
        identity, size = submission.identity, len(submission.task.payload)
        # The hash is computed here, while the workers are busy with what was queued before.
        if submission.reuse != "never" and identity not in self._flights:
            self._flights[identity] = flight
            self._sizes[size] += 1
            flight.on_end(lambda: self._remove(identity, size))
        if self._beside and submission.reuse == "allowed":
            self._beside.ask(flight, submission)
        return flight

    def _enqueue(self, flight: Flight, deadline: float, urgency: int) -> Handle[Task, Reply]:
        task, size = flight.task, len(flight.task.payload)
        return self._batcher.enqueue_nowait(
            task, prep_s=task.prepare_s, size=size, deadline=deadline, urgency=urgency, losses=flight.losses
        )

    def _remove(self, identity: Identity, size: int) -> None:
        del self._flights[identity]
        self._sizes[size] -= 1
        if not self._sizes[size]:
            del self._sizes[size]


def _deadline(waiter: Waiter) -> float:
    return waiter.deadline


def _nothing() -> None: ...
