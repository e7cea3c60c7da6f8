"""The waiting jobs in order: most urgent first, then earliest deadline, then first come.

One sorted `PriorityClass` per urgency. The usual operations, adding at the end of a class and taking from its head,
cost the same with ten jobs and with thousands. Places and the work before them are exact; a cancelled job leaves
nothing behind.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

from batcher.job import Job, Order
from batcher.scheduling.completion import Ahead
from batcher.scheduling.dispatch import QueueView

T = TypeVar("T")
R = TypeVar("R")

_LEAST_CUT = 64


class PriorityClass(Generic[T, R]):
    """The jobs of one urgency in order, and the sum of their preprocessing times.

    Three sorted lists side by side. Jobs taken from the head are only skipped; they are cut off once they are half of
    the lists.
    """

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._jobs: list[Job[T, R] | None] = []
        self._preps: list[float] = []
        self._head = 0
        self._prep_s = 0.0

    def __len__(self) -> int:
        return len(self._orders) - self._head

    def __iter__(self) -> Iterator[Job[T, R]]:
        return (job for job in self._jobs[self._head :] if job)

    @property
    def all(self) -> Ahead:
        """How many are inside, and their preprocessing time."""
        return Ahead(len(self._orders) - self._head, self._prep_s)

    def add(self, job: Job[T, R]) -> None:
        place = bisect_left(self._orders, job.order, self._head)
        self._orders.insert(place, job.order)
        self._jobs.insert(place, job)
        self._preps.insert(place, job.prep_s)
        self._prep_s += job.prep_s

    def remove(self, job: Job[T, R]) -> None:
        """Take out a job that is inside."""
        place = bisect_left(self._orders, job.order, self._head)
        if place == self._head:
            self.skip(1)
            return
        self._prep_s -= job.prep_s
        del self._orders[place], self._jobs[place], self._preps[place]

    def before(self, order: Order) -> Ahead:
        """What stands before `order`. At once at either end; otherwise the nearer side is summed."""
        place = bisect_left(self._orders, order, self._head)
        count = place - self._head
        if count * 2 < len(self._orders) - self._head:
            return Ahead(count, sum(self._preps[self._head : place]))
        return Ahead(count, max(0.0, self._prep_s - sum(self._preps[place:])))

    def behind(self, order: Order) -> int:
        """How many stand behind `order`."""
        return len(self._orders) - bisect_left(self._orders, order, self._head)

    def first(self, count: int, start: int = 0) -> list[Job[T, R]]:
        """`count` jobs from number `start` on; they stay inside."""
        begin = self._head + start
        return [job for job in self._jobs[begin : begin + count] if job]

    def skip(self, count: int) -> None:
        """Take out the first `count`."""
        end = min(self._head + count, len(self._orders))
        self._prep_s -= sum(self._preps[self._head : end])
        self._jobs[self._head : end] = [None] * (end - self._head)  # keep no job alive
        self._head = end
        if self._head >= _LEAST_CUT and self._head * 2 >= len(self._orders):
            del self._orders[:end], self._jobs[:end], self._preps[:end]
            self._head = 0
        if self._head == len(self._orders):
            self._prep_s = 0.0  # drop the rounding error of a rush


class WaitingQueue(Generic[T, R]):
    """Jobs whose `order` decides their place. An `order` is unique and may not change while the job is inside."""

    def __init__(self) -> None:
        self._classes: dict[int, PriorityClass[T, R]] = {}
        self._urgencies: list[int] = []
        self.count = 0
        """How many jobs wait; only the queue writes it."""

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Job[T, R]]:
        """All of them, in order."""
        return chain.from_iterable(self._classes[urgency] for urgency in self._urgencies)

    def view(self, credits: int, prep_factor: float = 1.0) -> QueueView:
        """What `decide` may look at, with credits for `credits` jobs whose preprocessing takes `prep_factor` times
        what was expected. O(credits)."""
        first = self.first(credits)
        if not first:
            return QueueView(self.count)
        dues = tuple([job.deadline - job.prep_s * prep_factor for job in first])
        return QueueView(self.count, dues[0], min(dues), min([job.arrived for job in first]), dues)

    def add(self, job: Job[T, R]) -> None:
        urgency = job.order[0]
        members = self._classes.get(urgency)
        if members is None:
            members = self._classes[urgency] = PriorityClass()
            insort(self._urgencies, urgency)
        members.add(job)
        self.count += 1

    def remove(self, job: Job[T, R]) -> None:
        """Take out a job that is inside."""
        self._classes[job.order[0]].remove(job)
        self.count -= 1

    def before(self, order: Order) -> Ahead:
        """How many stand before `order`, and their preprocessing time."""
        count, prep_s = 0, 0.0
        for urgency in self._urgencies:
            if urgency > order[0]:
                break
            members = self._classes[urgency]
            some, some_prep_s = members.before(order) if urgency == order[0] else members.all
            count, prep_s = count + some, prep_s + some_prep_s
        return Ahead(count, prep_s)

    def behind(self, order: Order, most: int) -> list[Job[T, R]]:
        """Up to `most` jobs that stand behind `order` with the same urgency: the next, the last, and some between at
        equal distances."""
        members = self._classes.get(order[0])
        if members is None or not (left := members.behind(order)):
            return []
        start = len(members) - left
        steps = min(most, left)
        numbers = [start + round(step * (left - 1) / max(1, steps - 1)) for step in range(steps)]
        return [members.first(1, number)[0] for number in numbers]

    def first(self, count: int) -> list[Job[T, R]]:
        """The first `count` jobs, in order; they stay inside."""
        found: list[Job[T, R]] = []
        for urgency in self._urgencies:
            if len(found) >= count:
                break
            found += self._classes[urgency].first(count - len(found))
        return found

    def take(self, count: int) -> list[Job[T, R]]:
        """Remove and return the first `count` jobs, in order."""
        taken: list[Job[T, R]] = []
        for urgency in self._urgencies:
            if len(taken) >= count:
                break
            members = self._classes[urgency]
            some = members.first(count - len(taken))
            members.skip(len(some))
            taken += some
        self.count -= len(taken)
        return taken

    def oldest_arrival(self) -> float | None:
        """When the job that has waited longest arrived; None if none waits. O(n)."""
        return min((job.arrived for job in self), default=None)
