"""Jobs whose executor was lost: any of them may have been the cause, so each is retried alone.

One slot at a time is reserved for these retries: it is sent nothing else, so that a second loss costs no other job an
executor, and tells which job was the cause.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from batcher.executor import Slot
from batcher.job import Job
from batcher.queue import WaitingQueue

T = TypeVar("T")
R = TypeVar("R")


class Isolation(Generic[T, R]):
    """The isolated retries in their order, and the slot reserved for them, if any."""

    def __init__(self) -> None:
        self.retries: WaitingQueue[T, R] = WaitingQueue()
        self.slot: Slot[T, R] | None = None

    @property
    def in_use(self) -> bool:
        """Whether retries wait, or a slot is reserved for them."""
        return self.retries.count > 0 or self.slot is not None

    def reserve(self, slots: Sequence[Slot[T, R]]) -> None:
        """Reserve a slot, the emptiest one, while retries wait; release it when none is left."""
        if self.slot and (self.slot not in slots or not (self.slot.credits or self.slot.held)):
            self.slot = None
        if self.retries:
            if self.slot is None:
                self.slot = min((slot for slot in slots if slot.credits), key=_held, default=None)
        elif self.slot and not self.slot.held:
            self.slot = None

    @property
    def ready(self) -> Slot[T, R] | None:
        """The slot at which the first retry can run now: the reserved one, once it holds nothing."""
        return self.slot if self.retries and self.slot and not self.slot.held else None

    def free_credits(self, slot: Slot[T, R]) -> int:
        """The credits a slot has for all other jobs."""
        return 0 if slot is self.slot else slot.free_credits

    def index(self, slots: Sequence[Slot[T, R]]) -> int:
        """The number of the slot at which retries run, or will run."""
        return slots.index(self.slot) if self.slot and self.slot in slots else 0


def _held(slot: Slot[T, R]) -> int:
    return len(slot.held)


def is_isolated(job: Job[T, R]) -> bool:
    """Whether an executor was lost with it."""
    return job.losses > 0
