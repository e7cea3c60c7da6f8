"""Accept or refuse: a pure decision on numbers. A refusal is as much an answer as an acceptance."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

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


class Refusal(NamedTuple):
    """`retry_after_s`: the predicted wait after which the job would be accepted."""

    reason: Reason
    message: str
    retry_after_s: float


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
    drain_s: float = 0.0
    """Until the waiting jobs are served; 0 if nothing was measured, or the queue is not full."""
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


def _full(message: str, forecast: Forecast) -> Refusal:
    return Refusal(Reason.QUEUE_FULL, message, forecast.drain_s or _UNKNOWN_WAIT_S)
