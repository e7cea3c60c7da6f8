"""Who may come in: a pure decision on numbers. Refusing is as much an answer as accepting."""

from dataclasses import dataclass

from batcher.errors import NoRunner, QueueFull, Refused, WouldBeLate
from batcher.policy import Policy

_UNKNOWN_WAIT_S = 1.0  # where nothing was measured, or nobody has said when a runner will be ready


@dataclass(frozen=True, slots=True)
class Load:
    """What the batcher holds, and predicts, when somebody asks to come in. Times in seconds from now."""

    waiting: int = 0
    """Items in the queue."""
    held_bytes: int = 0
    """Bytes of all items not yet answered."""
    seats: int = 1
    """Runners that are ready."""
    runner_expected: bool = False
    """Whether anybody has said when a runner will be ready."""
    finish_s: float = 0.0
    """Until the item would be answered, from its place in the queue; 0 if nothing was measured."""
    margin_s: float = 0.0
    """By which such predictions have been too early."""
    broken_s: float = 0.0
    """By which it would make somebody late who was accepted before, and is as urgent."""
    drain_s: float = 0.0
    """Until what waits has been served; 0 if nothing was measured, or there is room."""
    lag_s: float = 0.0
    """By which the answer may be seen later than it is there."""
    idle: bool = False
    """Whether a runner has nothing to do, and nobody else waits for it."""
    hope_s: float = 0.0
    """Until the item would be answered by an idle runner, if all goes as well as it ever did."""


def admit(now: float, load: Load, size: int, deadline: float, policy: Policy) -> Refused | None:
    """None to accept, or the refusal with the predicted wait after which the item would have fitted."""
    if not load.seats and not load.runner_expected:
        return NoRunner("no runner is ready", _UNKNOWN_WAIT_S)
    if load.waiting >= policy.max_queue:
        return QueueFull(f"{load.waiting} items wait already", load.drain_s or _UNKNOWN_WAIT_S)
    if load.held_bytes + size > policy.max_queue_bytes:
        return QueueFull(f"{load.held_bytes} bytes are held already", load.drain_s or _UNKNOWN_WAIT_S)
    # An idle runner is tried whatever has been learned, as long as there is hope: nobody is harmed by it, and it is the
    # only way to learn that bad times are over.
    late_s = now + load.lag_s + (load.hope_s if load.idle else load.finish_s + load.margin_s) - deadline
    if late_s > 0:
        return WouldBeLate(f"the answer would be {late_s:.3f} s late", late_s)
    if load.broken_s > 0 and not load.idle:
        return WouldBeLate(f"one accepted before would be {load.broken_s:.3f} s late", load.broken_s)
    return None
