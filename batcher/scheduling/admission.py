"""Accept or refuse: a pure decision on numbers. A refusal is as much an answer as an acceptance."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

_LONGEST_RETURN_S = 30.0  # a client that is told more gives up
_UNKNOWN_WAIT_S = 1.0  # where nothing was measured, or no time was given at which an executor will be ready


class Limits(Protocol):
    """What the owner of a batcher decides."""

    @property
    def max_queue(self) -> int: ...

    @property
    def max_queue_bytes(self) -> int: ...


class Reason(Enum):
    """Why a job is refused."""

    NO_EXECUTOR = "no_executor"
    QUEUE_FULL = "queue_full"
    WOULD_BE_LATE = "would_be_late"
    UNMEETABLE = "unmeetable"


class Refusal(NamedTuple):
    """`wait_s`: the predicted wait after which the job would be accepted; of an unmeetable one, the shortest time in
    which it can be answered."""

    reason: Reason
    message: str
    wait_s: float


@dataclass(slots=True)
class Forecast:
    """What a batcher holds, and predicts, when a job asks to be admitted. Times in seconds from now."""

    waiting: int = 0
    """Jobs in the queue."""
    held_bytes: int = 0
    """Bytes of all jobs not yet answered."""
    slots: int = 1
    """Executors that are ready."""
    executor_expected: bool = False
    """Whether a time was given at which an executor will be ready."""
    finish_s: float = 0.0
    """Until the job would be answered, from its place in the queue; 0 if nothing was measured."""
    margin_s: float = 0.0
    """By which such predictions have been too early."""
    induced_lateness_s: float = 0.0
    """By which it would make a job late that is as urgent and was accepted before."""
    place_s: float = 0.0
    """Until a place in the queue falls free; 0 if nothing was measured, or the queue is not full."""
    delay_s: float = 0.0
    """By which the event loop may deliver the answer later."""
    idle: bool = False
    """Whether an executor has nothing to do, and no other job waits for it."""
    best_case_s: float = 0.0
    """Until an idle executor would answer the job, if all goes as well as it ever did."""


def admit(now: float, forecast: Forecast, size: int, deadline: float, limits: Limits) -> Refusal | None:
    """None to accept."""
    if not forecast.slots and not forecast.executor_expected:
        return Refusal(Reason.NO_EXECUTOR, "no executor is ready", _UNKNOWN_WAIT_S)
    if forecast.waiting >= limits.max_queue:
        return _full(f"{forecast.waiting} items wait already", forecast)
    if forecast.held_bytes + size > limits.max_queue_bytes:
        return _full(f"{forecast.held_bytes} bytes are held already", forecast)
    # An idle executor is tried whatever was learned, as long as there is hope: it harms no other job, and nothing else
    # shows that bad times are over.
    needed_s = forecast.best_case_s if forecast.idle else forecast.finish_s + forecast.margin_s
    late_s = now + forecast.delay_s + needed_s - deadline
    if late_s > 0:
        return late(late_s)
    if forecast.induced_lateness_s > 0 and not forecast.idle:
        induced_s = forecast.induced_lateness_s
        return Refusal(Reason.WOULD_BE_LATE, f"a job accepted before would be {induced_s:.3f} s late", induced_s)
    return None


def late(late_s: float) -> Refusal:
    """The refusal of a job that would be answered so many seconds after its deadline."""
    return Refusal(Reason.WOULD_BE_LATE, f"the answer would be {late_s:.3f} s late", late_s)


def or_unmeetable(refusal: Refusal, given_s: float, best_case_s: float) -> Refusal:
    """The refusal of a late job whose deadline is `given_s` from now, told apart if even an idle executor is too slow:
    it takes `best_case_s` if all goes as well as it ever did. What is late already was slow to come."""
    if refusal.reason is Reason.WOULD_BE_LATE and 0 < given_s < best_case_s:
        return Refusal(Reason.UNMEETABLE, f"such an item takes {best_case_s:.3f} s at best", best_case_s)
    return refusal


def _full(message: str, forecast: Forecast) -> Refusal:
    return Refusal(Reason.QUEUE_FULL, message, forecast.place_s or _UNKNOWN_WAIT_S)


class Returns(NamedTuple):
    """When refused jobs were told to come back.

    Each is told the first time at which it would fit *behind* those told before it. Otherwise all jobs of a burst
    would be told the same moment, and all but one of them be refused again. Example: three jobs are refused that
    would fit in 0.5 s, and each takes 0.2 s: they are told 0.5, 0.7 and 0.9 s.
    """

    booked_until: float = float("-inf")

    def book(self, now: float, fits_s: float, takes_s: float) -> "tuple[float, Returns]":
        """The wait of a job that would fit in `fits_s` and takes `takes_s`, and the state after it is told.

        Nobody is told more than `_LONGEST_RETURN_S` beyond `fits_s`: those booked may never come.
        """
        at = min(max(now + fits_s, self.booked_until), now + fits_s + _LONGEST_RETURN_S)
        return at - now, Returns(at + takes_s)
