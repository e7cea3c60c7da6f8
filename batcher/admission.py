"""Who may come in: a pure decision on numbers. Refusing is as much an answer as accepting."""

from dataclasses import dataclass

from batcher.errors import NoRunner, QueueFull, Refused, WouldBeLate
from batcher.policy import Policy

_UNKNOWN_WAIT_S = 1.0  # when nobody has said when a runner will be ready


@dataclass(frozen=True, slots=True)
class Load:
    """What the batcher holds when somebody asks to come in."""

    waiting: int
    """Items in the queue."""
    held_bytes: int
    """Bytes of all items not yet answered."""
    ahead: int
    """Items that would be served before this one: those before its place in the queue, and those running."""
    seats: int
    """Runners that are ready."""
    seat_expected: float | None
    """When a runner should be ready if none is; None if nobody knows."""
    pace_s: float | None
    """Measured seconds of one runner an item; None before the first answer."""


def admit(now: float, load: Load, size: int, cost_s: float, deadline: float, policy: Policy) -> Refused | None:
    """None to accept, or the refusal with the predicted wait after which the item would have fitted."""
    if not load.seats and load.seat_expected is None:
        return NoRunner("no runner is ready", _UNKNOWN_WAIT_S)
    if load.waiting >= policy.max_queue:
        return QueueFull(f"{load.waiting} items wait already", drain_s(now, load))
    if load.held_bytes + size > policy.max_queue_bytes:
        return QueueFull(f"{load.held_bytes} bytes are held already", drain_s(now, load))
    late_s = now + predicted_s(now, load, cost_s) - deadline
    if late_s > 0:
        return WouldBeLate(f"the answer would be {late_s:.3f} s late", late_s)
    return None


def predicted_s(now: float, load: Load, cost_s: float) -> float:
    """Seconds until an item is answered: until a runner is there, what stands before it at the measured pace,
    then its own work. Before anything was measured that is 0: there is no ground to refuse on."""
    pace = load.pace_s or 0.0
    return _runner_s(now, load) + load.ahead * pace / max(1, load.seats) + max(pace, cost_s)


def drain_s(now: float, load: Load) -> float:
    """Seconds until what waits now has been served."""
    return _runner_s(now, load) + load.waiting * (load.pace_s or 0.0) / max(1, load.seats)


def _runner_s(now: float, load: Load) -> float:
    if load.seats or load.seat_expected is None:
        return 0.0
    return max(0.0, load.seat_expected - now)
