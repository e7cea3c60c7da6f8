"""The last stage: identical tasks that are under way at the same time share one inference."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from batcher import Batcher
from batcher.job import Handle
from server.contract.answer import Reply
from server.contract.task import Task
from server.engine.flight import Flight, Waiter
from server.engine.submission import Identity, Submission


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
        if submission.reuse == "never":  # it neither joins a flight nor lets others join
            return await self._submit_alone(submission)
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
        if self._beside and reply.source == "inference":
            self._beside.tell(submission, reply)
        return reply

    def __len__(self) -> int:
        return len(self._flights)

    async def _submit_alone(self, submission: Submission) -> Reply:
        handle = self._enqueue(submission, submission.deadline, submission.urgency)
        submission.queued = self._clock()
        submission.digest  # noqa: B018 - computed here, while the workers are busy with what was queued before
        return await handle.wait()

    def _found(self, submission: Submission) -> Flight | None:
        """The flight that this one may share: equality is decided by the bytes."""
        payload = submission.task.payload
        if submission.reuse != "allowed" or len(payload) not in self._sizes:
            return None
        flight = self._flights.get(submission.identity)
        return flight if flight and flight.task.payload == payload else None

    def _started(self, submission: Submission, waiter: Waiter) -> Flight:
        flight = Flight(submission, self._enqueue, self._clock)
        flight.start(waiter)
        submission.queued = self._clock()
        identity, size = submission.identity, len(submission.task.payload)
        # The hash is computed here, while the workers are busy with what was queued before.
        if identity not in self._flights:
            self._flights[identity] = flight
            self._sizes[size] += 1
            flight.on_end(lambda: self._remove(identity, size))
        if self._beside and submission.reuse == "allowed":
            self._beside.ask(flight, submission)
        return flight

    def _enqueue(self, job: Flight | Submission, deadline: float, urgency: int) -> Handle[Task, Reply]:
        task, size = job.task, len(job.task.payload)
        return self._batcher.enqueue_nowait(
            task, prep_s=job.prepare_s, size=size, deadline=deadline, urgency=urgency, losses=job.losses
        )

    def _remove(self, identity: Identity, size: int) -> None:
        del self._flights[identity]
        self._sizes[size] -= 1
        if not self._sizes[size]:
            del self._sizes[size]
