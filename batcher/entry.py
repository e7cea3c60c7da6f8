"""One item on its way through the batcher: what it is, when it must be done, and where it stands."""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from batcher.forecast import Finish
from batcher.oneshot import Oneshot

T = TypeVar("T")
R = TypeVar("R")

Order = tuple[int, float, int]


class Stage(Enum):
    """Where an entry stands. It only moves on, but for a retry: running -> waiting."""

    WAITING = "waiting"
    RUNNING = "running"
    SETTLED = "settled"


@dataclass(slots=True, eq=False)
class Entry(Generic[T, R]):
    """One waiter. Times are seconds on the batcher's clock; only the batcher writes to it."""

    item: T
    oneshot: Oneshot[R]
    arrived: float
    deadline: float
    urgency: int
    cost_s: float
    size: int
    order: Order
    stage: Stage = Stage.WAITING
    losses: int = 0
    predicted: Finish | None = None
    """When it would be answered, from its arrival on, as predicted then; None where nothing was measured."""

    @property
    def done(self) -> bool:
        """Answered, expired, or left by its waiter: nothing done for it now is of use to anybody."""
        return self.oneshot.done
