"""What the batcher expects: the one place where queue, seats and measurements become predictions.

It changes nothing but what it has learned: `_estimator` (what work costs), `_margins` (how wrong it was), and
`_pushed`, `_slowness` and `_next_look` (when to look again for entries that have been pushed past their deadlines).
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from batcher.entry import Entry, Order
from batcher.estimator import Estimator, Sample
from batcher.forecast import Ahead, Place, finish_s, late
from batcher.isolation import Isolation
from batcher.margins import Errors, Margins
from batcher.queue import WaitingQueue
from batcher.scheduler import Pace
from batcher.seat import Seat

T = TypeVar("T")
R = TypeVar("R")

_LOOKED_AT = 4  # of those behind a newcomer, to see whether it would break a promise
_LOOK_S = 2e-3  # at least between two looks at all that wait ...
_LOOK_EACH_S = 6e-6  # ... and longer the more wait, so that it stays below a few percent of a core
_SLOWER = 1.05  # than at the last look: a reason for another


class Outlook(Generic[T, R]):
    """Predicts for the entries of one batcher. All times it gives are seconds from `now`."""

    def __init__(
        self,
        queue: WaitingQueue[T, R],
        isolation: Isolation[T, R],
        seats: Sequence[Seat[T, R]],
        estimator: Estimator,
    ) -> None:
        self._queue = queue
        self._isolation = isolation
        self._seats = seats
        self._estimator = estimator
        self._margins = Margins()
        self._pushed = False
        self._slowness = 1.0
        self._next_look = 0.0

    @property
    def waiting(self) -> int:
        """How many items wait, those among them that are to be tried alone."""
        return len(self._queue) + len(self._isolation.suspects)

    def hope_s(self, cost_s: float) -> float:
        """Until the answer of an item that an idle seat takes now, if all goes as well as it ever did."""
        return self._estimator.hope_s(cost_s)

    @property
    def pace(self) -> Pace:
        """For `decide`."""
        return Pace(self._estimator.slowness, self._estimator.fastest)

    @property
    def errors(self) -> Errors:
        """How wrong the predictions have been."""
        return self._margins.errors

    def learn(self) -> None:
        """Take in what the seats have done since."""
        for seat in self._seats:
            if done := seat.take_done():
                self._estimator.observe(Sample(*done))

    def residual_s(self, now: float, seat: Seat[T, R]) -> float:
        """Until a seat has done what it holds. One that overruns is expected to take as long again as it is late: a
        small lateness means little, and one that hangs is soon left out of account."""
        count = len(seat.held)
        if not count:
            return 0.0
        whole = self._estimator.work_s(seat.held_cost_s, count)
        first = whole * min(count, self._estimator.batch) / count
        return abs(first - (now - seat.since)) + whole - first

    def wait_s(self, now: float, seat_expected: float | None) -> float:
        """Until there is a seat at all."""
        return 0.0 if self._seats or seat_expected is None else max(0.0, seat_expected - now)

    def finish_s(self, now: float, order: Order, cost_s: float, seat_expected: float | None, coming: int = 0) -> float:
        """Until an item at this place would be answered, if so many like it come before it."""
        items, before_s = self._queue.before(order)
        ahead = Ahead(items + coming, before_s + coming * cost_s)
        free = self._free(now, ahead)
        return self.wait_s(now, seat_expected) + finish_s(free, ahead, cost_s, self._estimator)

    def margin_s(self, urgency: int, predicted_s: float) -> float:
        """By how much later the answer may come. None before anything was measured: there is no ground to refuse."""
        return self._margins.later_s(urgency, predicted_s) if self._estimator.measured else 0.0

    @property
    def idle_seats(self) -> int:
        """How many seats have nothing to do."""
        return sum(not seat.held and self._isolation.room(seat) > 0 for seat in self._seats)

    def doubt(self, now: float, urgency: int, predicted_s: float) -> None:
        """For its margin alone an item was refused. What nobody tests any more must not be believed for ever."""
        self._margins.doubt(now, urgency, predicted_s)

    def broken_s(self, now: float, order: Order, cost_s: float) -> float:
        """By how much a newcomer at this place would make one late that was accepted before and is as urgent. Some of
        those behind are looked at, the last among them."""
        if not self._seats or not self._estimator.measured:
            return 0.0
        worst = 0.0
        for entry in self._queue.behind(order, _LOOKED_AT):
            if entry.predicted_s is None:
                continue
            count, cost = self._queue.before(entry.order)
            ahead = Ahead(count + 1, cost + cost_s)
            worst = max(
                worst, now + finish_s(self._free(now, ahead), ahead, entry.cost_s, self._estimator) - entry.deadline
            )
        return worst

    def drain_s(self, now: float, seat_expected: float | None) -> float:
        """Until what waits now has been served."""
        waiting, cost_s = self._queue.before((1 << 30, 0.0, 0))
        work = self._estimator.work_s(cost_s, waiting)
        return self.wait_s(now, seat_expected) + work / max(1, len(self._seats))

    def ended(self, entry: Entry[T, R], now: float) -> None:
        """An entry was answered, or has given up waiting: what was predicted of it was wrong by so much."""
        if entry.predicted_s is not None and not entry.losses:
            self._margins.learn(entry.urgency, entry.predicted_s, now - entry.arrived - entry.predicted_s, now)
            entry.predicted_s = None

    def accept(self, entry: Entry[T, R], predicted_s: float) -> None:
        """An entry is about to be added. Where others stand behind it, they may be late then."""
        self._pushed |= self._queue.before(entry.order).items < len(self._queue)
        if self._estimator.measured:
            entry.predicted_s = predicted_s

    def overdue(self, now: float) -> list[tuple[Entry[T, R], float]]:
        """Entries that will be late, even if all goes better than expected, each with its predicted finish. Empty
        while nothing has changed for the worse, or the last look was just now."""
        slower = self._estimator.slowness > self._slowness * _SLOWER
        trusted = self._seats and self._estimator.fastest
        if not (self._pushed or slower) or not trusted or not self._queue or now < self._next_look:
            return []
        self._pushed = False
        self._slowness = self._estimator.slowness
        self._next_look = now + _LOOK_S + _LOOK_EACH_S * len(self._queue)
        entries = list(self._queue)
        places = [Place(entry.cost_s, self._latest_s(now, entry)) for entry in entries]
        return [(entries[number], finish) for number, finish in late(self._residuals(now), places, self._estimator)]

    def _latest_s(self, now: float, entry: Entry[T, R]) -> float:
        """The latest predicted finish with which an entry may yet be in time."""
        due_s = entry.deadline - now
        return due_s + self._margins.earlier_s(entry.urgency, due_s) if due_s > 0 else due_s

    def _free(self, now: float, ahead: Ahead) -> list[float]:
        """When each seat falls free; of those that have room now only the one that would be taken."""
        if not ahead.items:
            takers = [seat for seat in self._seats if self._isolation.room(seat)]
            if takers:
                return [min(self.residual_s(now, seat) for seat in _roomiest(takers))]
        return self._residuals(now)

    def _residuals(self, now: float) -> list[float]:
        free = [self.residual_s(now, seat) for seat in self._seats] or [0.0]
        if suspects := len(self._isolation.suspects):
            aside = self._isolation.seat
            number = self._seats.index(aside) if aside in self._seats else 0
            cost_s = sum(entry.cost_s for entry in self._isolation.suspects)
            free[number] += suspects * self._estimator.alone_s(cost_s / suspects, 0.0, 1)
        return free


def _roomiest(seats: list[Seat[T, R]]) -> list[Seat[T, R]]:
    most = max(seat.room for seat in seats)
    return [seat for seat in seats if seat.room == most]
