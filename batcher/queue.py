"""The waiting entries in order: most urgent first, then earliest deadline, then first come.

A sorted lane for each urgency. What usually happens, adding at the end of a lane and taking from the head, costs the
same with ten entries and with thousands; places and the work before them are exact; nothing cancelled stays behind.
"""

from bisect import insort
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

from batcher.entry import Entry, Order
from batcher.forecast import Ahead
from batcher.lane import Lane
from batcher.scheduler import QueueView

T = TypeVar("T")
R = TypeVar("R")


class WaitingQueue(Generic[T, R]):
    """Entries whose `order` decides their place. An `order` is unique and may not change while inside."""

    def __init__(self) -> None:
        self._lanes: dict[int, Lane[T, R]] = {}
        self._urgencies: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry[T, R]]:
        """All of them, in order."""
        return chain.from_iterable(self._lanes[urgency] for urgency in self._urgencies)

    def view(self, room: int, factor: float = 1.0) -> QueueView:
        """What `decide` may look at, with room for `room` of them, their own costs being `factor` times what was
        said. O(room)."""
        first = self.first(room)
        if not first:
            return QueueView(self._count)
        dues = tuple(entry.deadline - entry.cost_s * factor for entry in first)
        return QueueView(self._count, dues[0], min(dues), min(entry.arrived for entry in first), dues)

    def add(self, entry: Entry[T, R]) -> None:
        self._lane(entry.order[0]).add(entry)
        self._count += 1

    def remove(self, entry: Entry[T, R]) -> None:
        """Take out an entry that is inside."""
        self._lanes[entry.order[0]].remove(entry)
        self._count -= 1

    def before(self, order: Order) -> Ahead:
        """How many stand before `order`, and what they cost."""
        count, cost_s = 0, 0.0
        for urgency in self._urgencies:
            if urgency > order[0]:
                break
            lane = self._lanes[urgency]
            ahead = lane.before(order) if urgency == order[0] else lane.all
            count, cost_s = count + ahead.items, cost_s + ahead.cost_s
        return Ahead(count, cost_s)

    def has_behind(self, order: Order) -> bool:
        """Whether anything stands behind `order`."""
        lanes = self._lanes.items()
        return any(lane.behind(order) > 0 for urgency, lane in lanes if urgency >= order[0])

    def behind(self, order: Order, most: int) -> list[Entry[T, R]]:
        """Up to `most` of those that stand behind `order` with the same urgency: the next, the last, and some between
        at equal distances."""
        lane = self._lanes.get(order[0])
        if not lane or not (left := lane.behind(order)):
            return []
        start = len(lane) - left
        steps = min(most, left)
        numbers = [start + round(step * (left - 1) / max(1, steps - 1)) for step in range(steps)]
        return [lane.first(1, number)[0] for number in numbers]

    def first(self, count: int) -> list[Entry[T, R]]:
        """The first `count` entries, in order; they stay inside."""
        found: list[Entry[T, R]] = []
        for urgency in self._urgencies:
            if len(found) >= count:
                break
            found += self._lanes[urgency].first(count - len(found))
        return found

    def take(self, count: int) -> list[Entry[T, R]]:
        """Remove and return the first `count` entries, in order."""
        taken: list[Entry[T, R]] = []
        for urgency in self._urgencies:
            if len(taken) >= count:
                break
            lane = self._lanes[urgency]
            some = lane.first(count - len(taken))
            lane.skip(len(some))
            taken += some
        self._count -= len(taken)
        return taken

    def oldest_arrival(self) -> float | None:
        """When the entry that has waited longest arrived; None if nothing waits. O(n)."""
        return min((entry.arrived for entry in self), default=None)

    def _lane(self, urgency: int) -> Lane[T, R]:
        lane = self._lanes.get(urgency)
        if lane is None:
            lane = self._lanes[urgency] = Lane()
            insort(self._urgencies, urgency)
        return lane
