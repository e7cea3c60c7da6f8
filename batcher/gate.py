"""The way in: asks the outlook, decides by `admission`, and counts whom it refuses."""

from collections import Counter
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from batcher.admission import Load, admit
from batcher.entry import Order
from batcher.errors import Refused, WouldBeLate
from batcher.forecast import Finish
from batcher.ledger import Ledger
from batcher.outlook import Outlook
from batcher.policy import Policy
from batcher.seat import Seat

T = TypeVar("T")
R = TypeVar("R")


_STANDS_S = 1e-3  # for which a refusal stands as an example, if nothing changes


class _Example(NamedTuple):
    """Somebody who was refused, since by all that is known it takes `needed_s`, and when that will have to be asked
    again."""

    order: Order
    cost_s: float
    coming: int
    needed_s: float
    until: float


class Gate(Generic[T, R]):
    """Of one batcher. Its state: `refused`, by reason; `lag_s`, seconds that an answer may be on its way unseen; and
    `_example`. Under overload hundreds are refused between two changes, and predicting costs most of a refusal."""

    def __init__(
        self, policy: Policy, outlook: Outlook[T, R], ledger: Ledger[T, R], seats: Sequence[Seat[T, R]]
    ) -> None:
        self._policy = policy
        self._outlook = outlook
        self._ledger = ledger
        self._seats = seats
        self.refused: Counter[str] = Counter()
        self.lag_s = 0.0
        self._example: _Example | None = None

    def forget_example(self) -> None:
        """Something has changed."""
        self._example = None

    def ask(
        self, now: float, order: Order, cost: float, size: int, coming: int, seat_expected: float | None
    ) -> Finish | Refused:
        """The predicted finish of an item of `cost` seconds and `size` bytes at this place, with
        `coming` like it to be queued before it; or what refuses it, then counted."""
        timely = order[1] < float("inf")  # who has no deadline is never late: nothing needs to be predicted
        if not timely and self._seats and not self._is_full(size):
            return Finish(0.0)
        if refusal := self._as_example(now, order, cost, coming):
            self.refused[refusal.reason] += 1
            return refusal
        predicted = self._outlook.finish(now, order, cost, seat_expected, coming) if timely else Finish(0.0)
        load = self._load(now, order, cost, size, coming, seat_expected, predicted.finish_s)
        if refusal := admit(now, load, size, order[1], self._policy):
            self.refused[refusal.reason] += 1
            if load.margin_s and now + load.finish_s <= order[1]:
                self._outlook.doubt(now, order[0], load.finish_s)
            needed_s = load.finish_s + load.margin_s + load.lag_s
            if now + needed_s > order[1] and not load.idle:
                self._example = _Example(order, cost, coming, needed_s, now + _STANDS_S)
            return refusal
        return predicted

    def _as_example(self, now: float, order: Order, cost_s: float, coming: int) -> Refused | None:
        """What refuses one who stands behind somebody who was refused just now, and would take as long at least."""
        example = self._example
        if example is None or now >= example.until:
            return None
        if order < example.order or cost_s < example.cost_s or coming < example.coming:
            return None
        late_s = now + example.needed_s - order[1]
        return WouldBeLate(f"the answer would be {late_s:.3f} s late", late_s) if late_s > 0 else None

    def _load(
        self,
        now: float,
        order: Order,
        cost: float,
        size: int,
        coming: int,
        seat_expected: float | None,
        finish_s: float,
    ) -> Load:
        outlook = self._outlook
        timely = order[1] < float("inf")
        return Load(
            waiting=outlook.waiting,
            held_bytes=self._ledger.held_bytes,
            seats=len(self._seats),
            runner_expected=seat_expected is not None,
            finish_s=finish_s,
            margin_s=outlook.margin_s(order[0], finish_s) if timely else 0.0,
            broken_s=outlook.broken_s(now, order, cost) if timely else 0.0,
            drain_s=outlook.drain_s(now, seat_expected) if self._is_full(size) else 0.0,
            lag_s=min(self.lag_s, max(0.0, order[1] - now) / 2) if timely else 0.0,
            idle=timely and outlook.waiting + coming < outlook.idle_seats,
            hope_s=outlook.hope_s(cost),
        )

    def _is_full(self, size: int) -> bool:
        held = self._ledger.held_bytes + size
        return self._outlook.waiting >= self._policy.max_queue or held > self._policy.max_queue_bytes
