"""What the batcher expects: the one place where queue, seats and measurements become predictions.

It changes nothing but what it has learned: `_estimator` (what work costs), `_margins` (how wrong it was), and
`_pushed`, `_worse`, `_slowness` and `_next_look` (when to look again for entries that have been pushed past their
deadlines, and how), `_changed` (since when predictions hold).
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from batcher.entry import Entry, Order
from batcher.estimator import Estimator, Sample
from batcher.forecast import Ahead, Finish, Place, finish, late
from batcher.isolation import Isolation
from batcher.margins import Errors, Margins
from batcher.queue import WaitingQueue
from batcher.risk import TIGHT, Risk
from batcher.scheduler import Pace
from batcher.seat import Seat

T = TypeVar("T")
R = TypeVar("R")

_LOOKED_AT = 4  # of those behind a newcomer, to see whether it would break a promise
_LOOK_S = 2e-3  # at least between two looks at all that wait ...
_LOOK_EACH_S = 50e-6  # ... and longer the more wait, so that it stays below a few percent of a core
_SLOWER = 1.1  # than at the last look: a reason for another


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
        self._risk = Risk()
        self._pushed = False
        self._changes = 0
        self._changed = float("-inf")
        self._slowness = 1.0
        self._worse = False
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

    def learn(self, now: float) -> None:
        """Take in what the seats have done since."""
        for seat in self._seats:
            if done := seat.take_done():
                self._estimator.observe(Sample(*done))
        if self._estimator.changes != self._changes:
            self._changes = self._estimator.changes
            self._changed = now
            self._worse = True

    def residual_s(self, now: float, seat: Seat[T, R]) -> float:
        """Until a seat has done what it holds."""
        pending = self._pending(seat)
        return self._begun_s(now, seat) + self._estimator.work_s(pending.cost_s, pending.items)

    def _begun_s(self, now: float, seat: Seat[T, R]) -> float:
        """Until a seat has done what it has begun. One that overruns is expected to take as long again as it is late: a
        small lateness means little, and one that hangs is soon left out of account."""
        if not seat.held:
            return 0.0
        pending = self._pending(seat)
        begun_s = self._estimator.work_s(seat.held_cost_s - pending.cost_s, len(seat.held) - pending.items)
        if not self._estimator.beside:
            return abs(begun_s - (now - seat.since))
        first = begun_s * min(1.0, self._estimator.batch / len(seat.held))
        return abs(first - (now - seat.since)) + begun_s - first

    def _pending(self, seat: Seat[T, R]) -> Ahead:
        """What a seat holds and has not begun: it runs together with what is sent after it. Where decoding is done
        beside the batches all that it holds is under way."""
        if not seat.held or self._estimator.beside:
            return Ahead(0, 0.0)
        items = len(seat.held) - max(1, min(len(seat.held), seat.begun, self._estimator.batch))
        return Ahead(items, seat.held_cost_s * items / len(seat.held))

    def wait_s(self, now: float, seat_expected: float | None) -> float:
        """Until there is a seat at all."""
        return 0.0 if self._seats or seat_expected is None else max(0.0, seat_expected - now)

    def finish(self, now: float, order: Order, cost_s: float, seat_expected: float | None, coming: int = 0) -> Finish:
        """When an item at this place would be answered, if so many like it come before it."""
        items, before_s = self._queue.before(order)
        found = self._finish(now, Ahead(items + coming, before_s + coming * cost_s), cost_s)
        return Finish(self.wait_s(now, seat_expected) + found.finish_s, found.joined_s)

    def margin_s(self, urgency: int, predicted_s: float) -> float:
        """By how much later the answer may come. None before anything was measured: there is no ground to refuse."""
        if not self._estimator.measured:
            return 0.0
        return self._margins.later_s(urgency, predicted_s, self._risk.allowed)

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
            if entry.predicted is None:
                continue
            count, cost = self._queue.before(entry.order)
            found = self._finish(now, Ahead(count + 1, cost + cost_s), entry.cost_s)
            worst = max(worst, now + found.finish_s - entry.deadline)
        return worst

    def drain_s(self, now: float, seat_expected: float | None) -> float:
        """Until what waits now has been served."""
        waiting, cost_s = self._queue.before((1 << 30, 0.0, 0))
        work = self._estimator.work_s(cost_s, waiting)
        return self.wait_s(now, seat_expected) + work / max(1, len(self._seats))

    def ended(self, entry: Entry[T, R], now: float) -> None:
        """An entry was answered, or has given up waiting: what was predicted of it was wrong by so much."""
        if entry.predicted and not entry.losses and entry.arrived >= self._changed:
            finish_s, joined_s = entry.predicted
            error_s = now - entry.arrived - finish_s
            self._margins.learn(entry.urgency, finish_s, min(error_s, max(0.0, error_s - joined_s)), now)
        entry.predicted = None

    def accept(self, entry: Entry[T, R], predicted: Finish) -> None:
        """An entry is about to be added. Where others stand behind it, they may be late then."""
        self._pushed |= self._queue.has_behind(entry.order)
        if self._estimator.measured and entry.deadline < float("inf"):  # for the others nothing was predicted
            entry.predicted = predicted
            margin_s = self._margins.later_s(entry.urgency, predicted.finish_s, TIGHT)
            self._risk.accept(entry.arrived + predicted.finish_s + margin_s > entry.deadline)

    def seats_changed(self, now: float, fewer: bool) -> None:
        """A seat has come or gone: what was predicted before says nothing of how good predictions are, and those that
        wait may be late now."""
        self._changed = self._next_look = now
        self._pushed = True
        self._worse |= fewer

    def overdue(self, now: float, seat_expected: float | None) -> list[tuple[Entry[T, R], float]]:
        """Entries that will be late, each with its predicted finish: as expected where the pace has just changed, or a
        seat is gone; else even if all goes better than expected. Empty while nothing has changed for the worse, or the
        last look was just now."""
        self._slowness = min(self._slowness, self._estimator.slowness)
        slower = self._estimator.slowness > self._slowness * _SLOWER
        trusted = self._estimator.fastest and (self._seats or seat_expected is not None)
        if not (self._pushed or slower) or not trusted or not self.waiting or now < self._next_look:
            return []
        self._pushed = False
        self._slowness = self._estimator.slowness
        self._next_look = now + _LOOK_S + _LOOK_EACH_S * self.waiting
        wait_s = self.wait_s(now, seat_expected)
        doomed = self._doomed_suspects(now, wait_s)
        suspects = len(self._isolation.suspects) - len(doomed)
        free = [wait_s + free_s for free_s in self._all_done(now, suspects)]
        entries = list(self._queue)
        due = _due_s if self._worse else self._latest_s
        self._worse = False
        places = [Place(entry.cost_s, due(now, entry)) for entry in entries]
        return doomed + [(entries[number], finish) for number, finish in late(free, places, self._estimator)]

    def _doomed_suspects(self, now: float, wait_s: float) -> list[tuple[Entry[T, R], float]]:
        """Those to be tried alone that will be late. `wait_s`: until there is a seat."""
        doomed: list[tuple[Entry[T, R], float]] = []
        finish_s = self._begun_s(now, self._seats[self._aside]) if self._seats else wait_s
        for entry in self._isolation.suspects:
            alone_s = self._estimator.alone_s(entry.cost_s, 0.0, 1)
            if finish_s + alone_s > self._latest_s(now, entry):
                doomed.append((entry, finish_s + alone_s))
            else:
                finish_s += alone_s
        return doomed

    def _latest_s(self, now: float, entry: Entry[T, R]) -> float:
        """The latest predicted finish with which an entry may yet be in time."""
        due_s = entry.deadline - now
        return due_s + self._margins.earlier_s(entry.urgency, due_s) if due_s > 0 else due_s

    def _finish(self, now: float, ahead: Ahead, cost_s: float) -> Finish:
        """When an item will be answered with so much of the queue before it: after what the seats have not begun
        either; of those that have room now only the one counts that would be taken."""
        seats = self._seats
        if not ahead.items and (takers := [seat for seat in seats if self._isolation.room(seat)]):
            seats = [min(_roomiest(takers), key=lambda seat: self.residual_s(now, seat))]
        free = (
            self._residuals(now, len(self._isolation.suspects))
            if seats is self._seats
            else [self._begun_s(now, seats[0])]
        )
        pending = [self._pending(seat) for seat in seats]
        before = Ahead(
            ahead.items + sum(one.items for one in pending), ahead.cost_s + sum(one.cost_s for one in pending)
        )
        return finish(free, before, cost_s, self._estimator)

    def _all_done(self, now: float, suspects: int) -> list[float]:
        """When each seat has done what it holds, and one of them so many suspects."""
        pending = [self._estimator.work_s(one.cost_s, one.items) for one in map(self._pending, self._seats)] or [0.0]
        return [free_s + work_s for free_s, work_s in zip(self._residuals(now, suspects), pending, strict=True)]

    def _residuals(self, now: float, suspects: int) -> list[float]:
        """When each seat has done what it has begun, and one of them so many suspects."""
        free = [self._begun_s(now, seat) for seat in self._seats] or [0.0]
        if suspects:
            cost_s = sum(entry.cost_s for entry in self._isolation.suspects) / len(self._isolation.suspects)
            free[self._aside] += suspects * self._estimator.alone_s(cost_s, 0.0, 1)
        return free

    @property
    def _aside(self) -> int:
        """The number of the seat at which suspects are tried."""
        aside = self._isolation.seat
        return self._seats.index(aside) if aside in self._seats else 0


def _due_s(now: float, entry: Entry[T, R]) -> float:
    return entry.deadline - now


def _roomiest(seats: list[Seat[T, R]]) -> list[Seat[T, R]]:
    most = max(seat.room for seat in seats)
    return [seat for seat in seats if seat.room == most]
