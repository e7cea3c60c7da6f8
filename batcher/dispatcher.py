"""The run loop: sends waiting jobs to slots, drops those that cannot be in time, retries those that were given back.

Everything runs on one event loop, and between reading state and acting on it there is no `await`; so there is no lock.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from batcher.admission import Admission
from batcher.errors import RetriesExhausted, WouldBeLate
from batcher.executor import Slot
from batcher.inflight import InFlight
from batcher.isolation import Isolation, is_isolated
from batcher.job import Again, Failed, Job, Order, Result, Stage, advanced
from batcher.policy import Policy
from batcher.predictor import Prediction, Predictor
from batcher.queue import WaitingQueue
from batcher.scheduling.cost_model import CostModel
from batcher.scheduling.dispatch import Dispatch, Drop, Idle, Offer, WakeAt, decide
from batcher.scheduling.service_time import ServiceTimes
from batcher.tardiness import TardinessCheck
from batcher.turns import Seat

T = TypeVar("T")
R = TypeVar("R")

_RUNNING = Stage.RUNNING  # to look up a member costs a call


class Dispatcher(Generic[T, R]):
    """The owner of the queue, the slots and the jobs in flight. A `SlotOwner` and a `JobOwner`.

    What waits: `queue`, and `isolation` for jobs that are retried alone. What is accepted and not yet settled:
    `in_flight`. Who executes: `slots`, each with what its executor holds; `suspended` ones finish what they hold.
    What is predicted: `predictor`, and `admission` for which jobs may come in.
    """

    def __init__(self, policy: Policy, clock: Callable[[], float], service_times: ServiceTimes) -> None:
        self.now = clock
        self.slots: list[Slot[T, R]] = []
        self.suspended: list[Slot[T, R]] = []
        self.queue: WaitingQueue[T, R] = WaitingQueue()
        self.isolation: Isolation[T, R] = Isolation()
        self.in_flight: InFlight[T, R] = InFlight(clock, self._on_leave)
        self.predictor: Predictor[T, R] = Predictor(self.queue, self.isolation, self.slots, service_times)
        self.admission: Admission[T, R] = Admission(policy, self.predictor, self.in_flight, self.slots)
        self.retried = 0
        self._tardiness = TardinessCheck(self.queue, self.isolation, self.slots, self.predictor)
        self._policy = policy
        self._arriving = 0
        self._seat: Seat | None = None
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Jobs that wait, isolated retries included."""
        return self.queue.count + self.isolation.retries.count

    @property
    def next_order(self) -> Order | None:
        """As `Member.next_order`."""
        jobs = self.queue.first(1) or self.isolation.retries.first(1)
        return jobs[0].order if jobs else None

    @property
    def busy(self) -> int:
        """As `Member.busy`."""
        return sum([1 for slot in self.slots if slot.held])

    def share_cores(self, seat: Seat) -> None:
        """Take turns with other batchers from now on."""
        self._seat = self.predictor.seat = seat

    def wake(self) -> None:
        """Something changed: decide again."""
        self._changed.set()
        self.admission.forget_recent()

    def accept(self, job: Job[T, R], prediction: Prediction) -> None:
        """Queue a job that was admitted."""
        if prediction.pushes:
            self._tardiness.jobs_pushed()
        self.predictor.accept(job, prediction)
        self.in_flight.open(job)
        self._line(job).add(job)
        self.wake()

    def announce(self, count: int) -> None:
        """So many jobs more, or fewer, are on their way."""
        self._arriving += count
        if count < 0:
            self.wake()

    # -- slots -------------------------------------------------------------------------------------

    def attach(self, slot: Slot[T, R]) -> None:
        """An executor has come."""
        self.slots.append(slot)
        self._slots_changed(fewer=False)

    def detach(self, slot: Slot[T, R]) -> None:
        """An executor is gone."""
        if slot in self.suspended:
            self.suspended.remove(slot)
            return
        self.slots.remove(slot)
        self._slots_changed(fewer=True)
        self.wake()

    def suspend(self, slot: Slot[T, R]) -> None:
        """An executor takes nothing more for now."""
        if slot in self.slots:
            self.detach(slot)
            self.suspended.append(slot)

    def resume(self, slot: Slot[T, R]) -> None:
        """It does again."""
        if slot in self.suspended:
            self.suspended.remove(slot)
            self.attach(slot)
            self.wake()

    def limit_batch(self, policy: Policy) -> None:
        """Batches are smaller from now on."""
        self._policy = policy
        self._slots_changed(fewer=True)
        self.wake()

    def expect_executor(self, at: float | None) -> None:
        """While there is no slot, one will be there at this time; None: that is not known."""
        self.predictor.expect_executor(at)
        if not self.slots:
            self._tardiness.slots_changed(self.now(), fewer=True)
            self.wake()

    def conclude(self, job: Job[T, R], outcome: Result[R] | Failed | Again) -> None:
        """An executor is done with a job."""
        if isinstance(outcome, Again):
            self._retry(job, outcome)
        else:
            if isinstance(outcome, Result):
                self.predictor.ended(job, self.now())
            self.in_flight.settle(job, outcome)
        self.wake()

    def _slots_changed(self, fewer: bool) -> None:
        now = self.now()
        self.predictor.slots_changed(now)
        self._tardiness.slots_changed(now, fewer)

    def _retry(self, job: Job[T, R], outcome: Again) -> None:
        if job.done:
            if job.deadline <= (now := self.now()):
                self.predictor.ended(job, now)  # it was not run in time, although time was left when it was sent
            return
        job.losses += outcome.lost
        if job.losses >= self._policy.max_losses:
            lost = RetriesExhausted(f"{job.losses} executors were lost with it, the last: {outcome.reason}")
            self.in_flight.settle(job, Failed(lost))
            return
        self.retried += 1
        job.stage = Stage.WAITING
        self._line(job).add(job)

    # -- handles -----------------------------------------------------------------------------------

    def cancel(self, job: Job[T, R]) -> bool:
        """The waiter leaves. False if the job has ended already."""
        return self.in_flight.cancel(job)

    def advance(self, job: Job[T, R], deadline: float | None, urgency: int | None) -> None:
        """Move a waiting job forward in the queue; a job that does not wait stays as it is."""
        if job.stage is not Stage.WAITING:
            return
        self._line(job).remove(job)
        job.order = advanced(job.order, deadline, urgency)
        self._line(job).add(job)
        self.wake()

    def reschedule(self, job: Job[T, R], deadline: float, expires: float, urgency: int) -> None:
        """Give a job other terms. A prediction made for a later deadline holds; one for an earlier one does not."""
        if job.done:
            return
        order = (urgency, deadline, job.order[2])
        if job.stage is Stage.WAITING and order != job.order:
            self._line(job).remove(job)
            if order < job.order:
                self._tardiness.jobs_pushed()
            else:
                job.predicted = None
            job.order = order
            self._line(job).add(job)
        job.deadline, job.urgency = deadline, urgency
        self.in_flight.keep_until(job, expires)
        self.wake()

    def _line(self, job: Job[T, R]) -> WaitingQueue[T, R]:
        """Where a waiting job stands."""
        return self.isolation.retries if is_isolated(job) else self.queue

    def _on_leave(self, job: Job[T, R]) -> None:
        if job.stage is Stage.WAITING:
            if job.deadline <= (now := self.now()):
                self.predictor.ended(job, now)  # its answer would have come later still
            self._line(job).remove(job)
        for slot in (*self.slots, *self.suspended):
            if job in slot.held:
                slot.executor.drop(job)

    # -- the loop ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dispatch until cancelled."""
        while True:
            self._changed.clear()  # CORRECTNESS: before reading, so that no change is missed
            match self._dispatch():
                case WakeAt(when):
                    await self._wait_changed_or(when)
                case _:
                    await self._changed.wait()

    async def _wait_changed_or(self, when: float) -> None:
        timer = asyncio.get_running_loop().call_later(when - self.now(), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    def _dispatch(self) -> WakeAt | Idle:
        """Send whatever can be sent now."""
        self.predictor.learn(self.now())
        if self._seat:
            self._seat.begin()
        if self.isolation.in_use:
            self._send_retry()
        self._drop_preempted()
        while self.queue.count:
            now, model = self.now(), self.predictor.model
            slot, offer = self._offer(now, model)
            self._discard_dead(self.queue, now, offer.credits)
            view = self.queue.view(offer.credits, model.prep_factor)
            match decide(now, view, offer, self._arriving, self._policy.max_batch, model):
                case Dispatch(count) if slot:
                    self._send(now, slot, self.queue.take(count))
                case Drop(count):
                    self._drop_unmeetable(now, count, model)
                case WakeAt() | Idle() as rest:
                    if self._seat:
                        self._seat.rest(bool(view.count and not slot and self.predictor.offer(now, model)[0]))
                    return rest
        if self._seat:
            self._seat.rest(False)
        return Idle()

    def _offer(self, now: float, model: CostModel) -> tuple[Slot[T, R] | None, Offer]:
        """The slot that takes the first job, if it is this batcher's turn."""
        if self._seat is None:
            return self.predictor.offer(now, model)
        return self.predictor.offer(now, model, self._seat.may_start, self._seat.may_extend)

    def _send_retry(self) -> None:
        """Send the first isolated retry, alone, if its slot is empty."""
        now = self.now()
        self._discard_dead(self.isolation.retries, now, 1)
        self.isolation.reserve(self.slots)
        if slot := self.isolation.ready:
            self._send(now, slot, self.isolation.retries.take(1))

    def _send(self, now: float, slot: Slot[T, R], jobs: list[Job[T, R]]) -> None:
        if self._seat:
            self._seat.use(self.predictor.model.work_s(sum([job.prep_s for job in jobs]), len(jobs)))
        slot.assign(jobs, now)
        for job in jobs:
            job.stage = _RUNNING
        slot.executor.send(jobs)

    # -- jobs that leave ---------------------------------------------------------------------------

    def _drop_preempted(self) -> None:
        """Refuse the jobs at once that others have pushed past their deadlines."""
        now = self.now()
        for job, finish_s in self._tardiness.tardy(now):
            late_s = now + finish_s - job.deadline
            self.predictor.ended(job, now + finish_s)
            self._drop(job, "preempted", f"other jobs have come before it: it would be {late_s:.3f} s late", late_s)

    def _drop_unmeetable(self, now: float, count: int, model: CostModel) -> None:
        """Refuse the first jobs: they cannot be answered in time, or delay more others than they are."""
        for job in self.queue.first(count):
            self.predictor.ended(job, max(now, job.deadline))
            wait_s = model.response_s(job.prep_s, 0.0, 1)
            self._drop(job, "unmeetable", "it can no longer be answered in time", wait_s)

    def _drop(self, job: Job[T, R], reason: str, message: str, wait_s: float) -> None:
        if job.done:
            self.in_flight.cancel(job)
        else:
            self.in_flight.drop(job, WouldBeLate(message, wait_s), reason)

    def _discard_dead(self, queue: WaitingQueue[T, R], now: float, credits: int) -> None:
        """CORRECTNESS: nothing is started after its deadline, even if its timer comes late, nor for a waiter
        whose task was cancelled just now and has not run yet."""
        while dead := [job for job in queue.first(credits) if job.done or job.expires <= now]:
            for job in dead:
                if job.done:
                    self.in_flight.cancel(job)
                else:
                    self.in_flight.expire(job)
