"""Items whose runner was lost: any of them may have been the cause, so each is tried alone.

One seat at a time is set aside for them: it is given nothing else, so that a second loss costs nobody else a
runner, and tells which item it was.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from batcher.entry import Entry
from batcher.queue import WaitingQueue
from batcher.seat import Seat

T = TypeVar("T")
R = TypeVar("R")


class Isolation(Generic[T, R]):
    """The suspects in their order, and the seat set aside for them, if any."""

    def __init__(self) -> None:
        self.suspects: WaitingQueue[T, R] = WaitingQueue()
        self.seat: Seat[T, R] | None = None

    def seat_for_next(self, seats: Sequence[Seat[T, R]]) -> Seat[T, R] | None:
        """The seat at which the first suspect can be tried now: the one set aside, once it holds nothing.

        Sets one aside while suspects wait, the emptiest; gives it back when none is left.
        """
        if self.seat and (self.seat not in seats or not (self.seat.granted or self.seat.held)):
            self.seat = None
        if not self.suspects:
            self._give_back()
            return None
        if self.seat is None:
            self.seat = min((seat for seat in seats if seat.granted), key=_held, default=None)
        return self.seat if self.seat and not self.seat.held else None

    def room(self, seat: Seat[T, R]) -> int:
        """The room a seat has for everybody else."""
        return 0 if seat is self.seat else seat.room

    def _give_back(self) -> None:
        if self.seat and not self.seat.held:
            self.seat = None


def _held(seat: Seat[T, R]) -> int:
    return len(seat.held)


def is_suspect(entry: Entry[T, R]) -> bool:
    """Whether a runner has been lost with it."""
    return entry.losses > 0
