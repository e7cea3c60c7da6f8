"""The way in: asks the predictor, decides by `scheduling.admission`, and counts the refusals."""

from collections import Counter
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from batcher.errors import NoExecutor, QueueFull, Refused, Unmeetable, WouldBeLate
from batcher.executor import Slot
from batcher.inflight import InFlight
from batcher.job import Order
from batcher.policy import Policy
from batcher.predictor import Prediction, Predictor
from batcher.scheduling.admission import Forecast, Reason, Refusal, Returns, admit, late, or_unmeetable

T = TypeVar("T")
R = TypeVar("R")

_STANDS_S = 1e-3  # for so long a refusal stands for others like it, if nothing changes
_ERRORS: dict[Reason, type[Refused]] = {
    Reason.NO_EXECUTOR: NoExecutor,
    Reason.QUEUE_FULL: QueueFull,
    Reason.WOULD_BE_LATE: WouldBeLate,
    Reason.UNMEETABLE: Unmeetable,
}

_WAITS = (Reason.WOULD_BE_LATE, Reason.QUEUE_FULL)


class Request(NamedTuple):
    """What is known of a job that asks to be admitted."""

    order: Order
    prep_s: float
    size: int
    coming: int
    """Jobs like it that will be queued before it, and are not yet."""


class _Work(NamedTuple):
    """What a job takes by itself, in seconds: of all slots together, and of an idle executor at best."""

    takes_s: float
    best_case_s: float


class _RecentRefusal(NamedTuple):
    """A job that was refused because it needs `needed_s` at its place; for how long that holds."""

    request: Request
    needed_s: float
    work: _Work
    until: float


class Admission(Generic[T, R]):
    """Of one batcher. Owns `refused`, the refusals by reason; the delay of the event loop; when refused jobs were told
    to come back; and the last refusal: under overload hundreds are refused between two changes, and a prediction is
    most of the cost of a refusal."""

    def __init__(
        self,
        policy: Policy,
        predictor: Predictor[T, R],
        in_flight: InFlight[T, R],
        slots: Sequence[Slot[T, R]],
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._policy = policy
        self._predictor = predictor
        self._in_flight = in_flight
        self._slots = slots
        self._delay_s = 0.0
        self._recent: _RecentRefusal | None = None
        self._returns = Returns()

    def allow_for_delay(self, delay_s: float) -> None:
        """The event loop may deliver answers so many seconds later."""
        self._delay_s = delay_s

    def forget_recent(self) -> None:
        """Something has changed: predict anew."""
        self._recent = None

    def ask(self, now: float, request: Request, waiting: int) -> Prediction | Refused:
        """The prediction of a job that may come in, or its refusal, counted. `waiting`: jobs in the queue."""
        order, prep_s, size, coming = request
        deadline = order[1]
        has_deadline = deadline < float("inf")
        full = waiting >= self._policy.max_queue or self._in_flight.held_bytes + size > self._policy.max_queue_bytes
        if not has_deadline and self._slots and not full:
            return self._predictor.without_deadline(order)
        if self._recent and (refusal := _like(self._recent, now, request)):
            return self._refuse(now, deadline, refusal, self._recent.work)
        predictor = self._predictor
        prediction = (
            predictor.predict(now, order, prep_s, coming) if has_deadline else predictor.without_deadline(order)
        )
        idle = has_deadline and waiting + coming < len(self._slots) and waiting + coming < predictor.idle_slots()
        finish_s, margin_s = prediction.completion.finish_s, prediction.margin_s
        delay_s = min(self._delay_s, max(0.0, deadline - now) / 2) if has_deadline else 0.0
        forecast = Forecast(
            waiting=waiting,
            held_bytes=self._in_flight.held_bytes,
            slots=len(self._slots),
            executor_expected=predictor.executor_expected,
            finish_s=finish_s,
            margin_s=margin_s,
            induced_lateness_s=prediction.induced_lateness_s,
            place_s=predictor.place_s(now) if full else 0.0,
            delay_s=delay_s,
            idle=idle,
            best_case_s=predictor.model.best_case_s(prep_s) if idle else 0.0,
        )
        refusal = admit(now, forecast, size, deadline, self._policy)
        if refusal is None:
            return prediction
        if margin_s and now + finish_s <= deadline:
            predictor.doubt(now, order[0], prediction)
        needed_s = finish_s + margin_s + delay_s
        work = self._work(prep_s)
        if now + needed_s > deadline and not idle:
            self._recent = _RecentRefusal(request, needed_s, work, now + _STANDS_S)
        return self._refuse(now, deadline, refusal, work)

    def _work(self, prep_s: float) -> _Work:
        model = self._predictor.model
        if not (model.measured and self._slots):
            return _Work(0.0, 0.0)
        return _Work(model.work_s(prep_s, 1) / len(self._slots), model.best_case_s(prep_s))

    def _refuse(self, now: float, deadline: float, refusal: Refusal, work: _Work) -> Refused:
        reason, message, wait_s = or_unmeetable(refusal, deadline - now, work.best_case_s)
        self.refused[reason.value] += 1
        if reason in _WAITS:
            wait_s, self._returns = self._returns.book(now, wait_s, work.takes_s)
        return _ERRORS[reason](message, wait_s)


def _like(recent: _RecentRefusal, now: float, request: Request) -> Refusal | None:
    """The refusal of a job that stands behind one refused just now, and takes as long at least."""
    before = recent.request
    if now >= recent.until or request.order < before.order or request.prep_s < before.prep_s:
        return None
    late_s = now + recent.needed_s - request.order[1]
    return late(late_s) if request.coming >= before.coming and late_s > 0 else None
