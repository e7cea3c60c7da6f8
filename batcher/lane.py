"""The waiting entries of one urgency in order, and the sum of what they cost.

Three sorted lists side by side. What is taken from the head is only skipped, and cut off when it is half of the
list, so that taking from the head and adding at the end cost the same whatever waits.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, TypeVar

from batcher.entry import Entry, Order
from batcher.forecast import Ahead

T = TypeVar("T")
R = TypeVar("R")

_LEAST_CUT = 64


class Lane(Generic[T, R]):
    """Entries in their order. An `order` is unique and may not change while inside."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._entries: list[Entry[T, R] | None] = []
        self._costs: list[float] = []
        self._head = 0
        self._cost_s = 0.0

    def __len__(self) -> int:
        return len(self._orders) - self._head

    def __iter__(self) -> Iterator[Entry[T, R]]:
        return (entry for entry in self._entries[self._head :] if entry)

    @property
    def all(self) -> Ahead:
        """How many are inside, and what they cost."""
        return Ahead(len(self), self._cost_s)

    def add(self, entry: Entry[T, R]) -> None:
        place = self._place(entry.order)
        self._orders.insert(place, entry.order)
        self._entries.insert(place, entry)
        self._costs.insert(place, entry.cost_s)
        self._cost_s += entry.cost_s

    def remove(self, entry: Entry[T, R]) -> None:
        """Take out an entry that is inside."""
        place = self._place(entry.order)
        if place == self._head:
            self.skip(1)
            return
        self._cost_s -= entry.cost_s
        del self._orders[place], self._entries[place], self._costs[place]

    def before(self, order: Order) -> Ahead:
        """What stands before `order`. At either end at once; else the nearer side is summed."""
        place = self._place(order)
        count = place - self._head
        if count * 2 < len(self):
            return Ahead(count, sum(self._costs[self._head : place]))
        return Ahead(count, max(0.0, self._cost_s - sum(self._costs[place:])))

    def behind(self, order: Order) -> int:
        """How many stand behind `order`."""
        return len(self._orders) - self._place(order)

    def first(self, count: int, start: int = 0) -> list[Entry[T, R]]:
        """`count` entries from number `start` on; they stay inside."""
        begin = self._head + start
        return [entry for entry in self._entries[begin : begin + count] if entry]

    def skip(self, count: int) -> None:
        """Take out the first `count`."""
        end = min(self._head + count, len(self._orders))
        self._cost_s -= sum(self._costs[self._head : end])
        self._entries[self._head : end] = [None] * (end - self._head)  # nothing is kept alive by it
        self._head = end
        if self._head >= _LEAST_CUT and self._head * 2 >= len(self._orders):
            del self._orders[:end], self._entries[:end], self._costs[:end]
            self._head = 0
        if not len(self):
            self._cost_s = 0.0  # no rounding error outlives a rush

    def _place(self, order: Order) -> int:
        return bisect_left(self._orders, order, self._head)
