"""When will a job be done, and how sure are we? Every prediction of a batcher is made here.

Reads the queue, the isolated retries and the slots. Owns what was learned: the service times, the prediction errors,
the miss budget, and since when predictions are comparable with outcomes.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from batcher.executor import Slot
from batcher.isolation import Isolation
from batcher.job import Job, Order
from batcher.queue import WaitingQueue
from batcher.scheduling.completion import Ahead, Completion, completion_time
from batcher.scheduling.confidence import ErrorHistogram, PredictionErrors
from batcher.scheduling.cost_model import CostModel
from batcher.scheduling.dispatch import Offer
from batcher.scheduling.miss_budget import TIGHT, MissBudget
from batcher.scheduling.service_time import ServiceTimes
from batcher.turns import Seat

T = TypeVar("T")
R = TypeVar("R")

_LOOKED_AT = 4  # jobs behind a new one, to see whether it would make one of them late
_ALL = 1 << 30
_LAST: Order = (1 << 30, 0.0, 0)


class Prediction(NamedTuple):
    """Of one job, in seconds from now."""

    completion: Completion
    margin_s: float = 0.0
    """How much later it may be answered. 0 before anything was measured: there is no ground to refuse a job then."""
    induced_lateness_s: float = 0.0
    """By how much it would make a job late that is as urgent and was accepted before."""
    pushes: bool = False
    """Whether jobs stand behind its place."""


UNPREDICTED = Completion(0.0)


class Predictor(Generic[T, R]):
    """Predicts for the jobs of one batcher."""

    def __init__(
        self,
        queue: WaitingQueue[T, R],
        isolation: Isolation[T, R],
        slots: Sequence[Slot[T, R]],
        service_times: ServiceTimes,
    ) -> None:
        self._queue = queue
        self._isolation = isolation
        self._slots = slots
        self._service_times = service_times
        self._errors = PredictionErrors()
        self._budget = MissBudget()
        self._executor_at: float | None = None
        self.seat: Seat | None = None
        """Where cores are shared with other batchers; set by the dispatcher."""
        self.speed_changes = 0
        """How often the speed has changed; only the predictor writes it."""
        self._valid_since = float("-inf")  # older predictions were made for another speed, or other slots

    # -- what is known -----------------------------------------------------------------------------

    @property
    def model(self) -> CostModel:
        """What work costs."""
        return self._service_times.model

    @property
    def errors(self) -> ErrorHistogram:
        """How wrong predictions have been."""
        return self._errors.histogram

    @property
    def executor_expected(self) -> bool:
        """Whether it is known when an executor will be ready."""
        return self._executor_at is not None

    def expect_executor(self, at: float | None) -> None:
        """While no slot exists, one will at this time; None: that is not known."""
        self._executor_at = at

    def learn(self, now: float) -> None:
        """Take in what the slots have done since."""
        for slot in self._slots:
            if sample := slot.take_sample():
                self._service_times.observe(sample)
        if self._service_times.speed_changes != self.speed_changes:
            self.speed_changes = self._service_times.speed_changes
            self._valid_since = now

    def slots_changed(self, now: float) -> None:
        """A slot has come or gone: earlier predictions say nothing of how good predictions are."""
        self._valid_since = now

    def accept(self, job: Job[T, R], prediction: Prediction) -> None:
        """A job was accepted: remember its prediction."""
        if job.deadline < float("inf") and self.model.measured:  # for other jobs there is no prediction
            job.predicted = prediction.completion
            finish_s = prediction.completion.finish_s
            margin_s = self._errors.later_s(job.urgency, finish_s, TIGHT)
            self._budget.accept(job.arrived + finish_s + margin_s > job.deadline)

    def ended(self, job: Job[T, R], now: float) -> None:
        """A job was answered, or stopped waiting: learn by how much its prediction was wrong."""
        if job.predicted and not job.losses and job.arrived >= self._valid_since:
            finish_s, joined_s = job.predicted
            error_s = now - job.arrived - finish_s
            self._errors.learn(job.urgency, finish_s, min(error_s, max(0.0, error_s - joined_s)), now)
        job.predicted = None

    def doubt(self, now: float, urgency: int, prediction: Prediction) -> None:
        """A job was refused for its margin alone. A margin that no answer tests must not be believed for ever."""
        self._errors.decay(now, urgency, prediction.completion.finish_s)

    # -- predictions -------------------------------------------------------------------------------

    def predict(self, now: float, order: Order, prep_s: float, coming: int = 0) -> Prediction:
        """When a job at this place would be answered, if `coming` jobs like it are queued before it."""
        model = self._service_times.model
        ahead = before = self._queue.before(order)
        if coming:
            ahead = Ahead(before.items + coming, before.prep_s + coming * prep_s)
        completion = self._completion(now, ahead, prep_s, model)
        if not self._slots:
            completion = Completion(self.wait_s(now) + completion.finish_s, completion.joined_s)
        pushes = before.items < self._queue.count
        if not model.measured:
            return Prediction(completion, pushes=pushes)
        margin_s = self._errors.later_s(order[0], completion.finish_s, self._budget.allowed)
        induced_s = self._induced_lateness_s(now, order, prep_s, model) if pushes and self._slots else 0.0
        return Prediction(completion, margin_s, induced_s, pushes)

    def without_deadline(self, order: Order) -> Prediction:
        """A job without a deadline is never late: nothing needs to be predicted."""
        return Prediction(UNPREDICTED, pushes=self._queue.before(order).items < self._queue.count)

    def latest_s(self, now: float, job: Job[T, R]) -> float:
        """The latest predicted completion with which a job may still be in time."""
        due_s = job.deadline - now
        return due_s + self._errors.earlier_s(job.urgency, due_s) if due_s > 0 else due_s

    def wait_s(self, now: float) -> float:
        """Until there is a slot at all."""
        return 0.0 if self._slots or self._executor_at is None else max(0.0, self._executor_at - now)

    def place_s(self, now: float) -> float:
        """Until one of the jobs that wait now has been served: the mean of them."""
        waiting, prep_s = self._queue.before(_LAST)
        return self.wait_s(now) + self.model.work_s(prep_s, waiting) / max(1, len(self._slots)) / max(1, waiting)

    def idle_slots(self) -> int:
        """How many slots have nothing to do."""
        return sum(not slot.held and self._isolation.free_credits(slot) > 0 for slot in self._slots)

    def offer(
        self, now: float, model: CostModel, idle: int = _ALL, extend: bool = True
    ) -> tuple[Slot[T, R] | None, Offer]:
        """The slot that takes the first job: that with most free credits, of several the one that is done first.

        `idle`: how many slots that hold nothing may take jobs; `extend`: whether those that hold some may.
        """
        most, slots = 0, []
        for slot in self._slots:
            credits = self._isolation.free_credits(slot) if (extend if slot.held else idle > 0) else 0
            if credits > most:
                most, slots = credits, [slot]
            elif credits and credits == most:
                slots.append(slot)
        if not most:
            return None, Offer(0, 0)
        best, best_s = slots[0], slots[0].backlog(now, model).all_s(model)
        for slot in slots[1:]:
            if (done_s := slot.backlog(now, model).all_s(model)) < best_s:
                best, best_s = slot, done_s
        ready_s = best_s * model.best_slowdown / model.slowdown
        return best, Offer(most, min(len(slots), max(1, idle)), ready_s, not best.held)

    def all_done(self, now: float, retries: int) -> list[float]:
        """When each slot has done everything it holds, and one of them so many isolated retries."""
        model = self.model
        done_s = [slot.backlog(now, model).all_s(model) for slot in self._slots] or [0.0]
        self._add_retries(done_s, retries, model)
        if self.seat:
            done_s = sorted(done_s)[: max(1, round(self.seat.executors(len(done_s))))]
        return done_s

    def _completion(self, now: float, ahead: Ahead, prep_s: float, model: CostModel) -> Completion:
        """When a job with so much ahead of it will be answered: after what the slots hold and have not begun, too."""
        slots = self._slots
        taker = None if ahead.items else self.offer(now, model)[0]
        if taker:
            slots = (taker,)
        free_s, items, pending_prep_s = [], ahead.items, 0.0
        for slot in slots:
            begun_s, pending, slot_prep_s = slot.backlog(now, model)
            free_s.append(begun_s)
            items += pending
            pending_prep_s += slot_prep_s
        if not free_s:
            free_s = [0.0]
        if not taker:
            self._add_retries(free_s, self._isolation.retries.count, model)
        completion = completion_time(free_s, Ahead(items, ahead.prep_s + pending_prep_s), prep_s, model)
        return self._beside_others(completion, prep_s, model) if self.seat else completion

    def _beside_others(self, completion: Completion, prep_s: float, model: CostModel) -> Completion:
        """Later, as far as other batchers use the cores: what comes before it takes longer, its own run does not."""
        assert self.seat
        there = max(1, len(self._slots))
        own_s = model.response_s(prep_s, 0.0, 1)
        before_s = max(0.0, completion.finish_s - own_s)
        stretched_s = before_s * there / self.seat.executors(there)
        return Completion(completion.finish_s - before_s + stretched_s, completion.joined_s)

    def _add_retries(self, free_s: list[float], retries: int, model: CostModel) -> None:
        """Isolated retries run one by one at one slot."""
        if retries:
            waiting = self._isolation.retries
            mean_s = sum(job.prep_s for job in waiting) / len(waiting)
            free_s[self._isolation.index(self._slots)] += retries * model.response_s(mean_s, 0.0, 1)

    def _induced_lateness_s(self, now: float, order: Order, prep_s: float, model: CostModel) -> float:
        """By how much a job at this place would make another late that is as urgent and was accepted before. Some of
        those behind it are looked at, the last among them."""
        worst = 0.0
        for job in self._queue.behind(order, _LOOKED_AT):
            if job.predicted is None:
                continue
            items, before_s = self._queue.before(job.order)
            completion = self._completion(now, Ahead(items + 1, before_s + prep_s), job.prep_s, model)
            worst = max(worst, now + completion.finish_s - job.deadline)
        return worst
