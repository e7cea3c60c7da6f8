"""The batcher: one owner of the queue and of who holds what.

Everything here runs on one event loop, and between reading state and acting on it there is no `await`; so
there is no lock. The whole mutable state: `_queue` (what waits), `_isolation` (what waits to be tried alone),
`_seats` (each with what its runner holds), `_ledger` (what is accepted and not yet settled), `estimator` and
`_outlook` (what was measured, and how wrong predictions were), `_gate` (who was refused), `_arriving`, `_closing`.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import TracebackType
from typing import Generic, Self, TypeVar

from batcher.callable_runner import CallableRunner, RunBatch
from batcher.entry import Entry, Order, Stage
from batcher.errors import BatcherClosed, Refused, RetriesExhausted, WouldBeLate
from batcher.estimator import Estimator
from batcher.forecast import Finish
from batcher.gate import Gate
from batcher.isolation import Isolation, is_suspect
from batcher.ledger import Ledger
from batcher.oneshot import Again, Failed, Oneshot, Result
from batcher.outlook import Outlook
from batcher.policy import DEFAULT_URGENCY, LEAST_URGENT, Policy
from batcher.profile import Profile
from batcher.queue import WaitingQueue
from batcher.scheduler import Dispatch, Drop, Idle, Room, WakeAt, decide
from batcher.seat import Runner, Seat
from batcher.stats import Stats
from batcher.ticket import Ticket

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Groups submitted items into batches and answers each through its own oneshot.

    Give it `run_batch`, an async callable that takes a list of items and returns as many results in the same
    order; or none, and `attach` runners of your own. Use it as an async context manager: leaving it refuses
    new items, waits until those accepted have ended, lets a running batch finish, and settles what is left.
    `clock` gives monotonic seconds; deadlines are on it.
    """

    def __init__(
        self,
        run_batch: RunBatch[T, R] | None = None,
        policy: Policy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy or Policy()
        self.profile = Profile()
        self.estimator = Estimator(self.profile, self.policy.max_batch)
        self.seat_expected: float | None = None
        """When a runner should be ready, on the batcher's clock, while none is; whoever starts runners says."""
        self._run_batch = run_batch
        self._clock = clock
        self._queue: WaitingQueue[T, R] = WaitingQueue()
        self._isolation: Isolation[T, R] = Isolation()
        self._seats: list[Seat[T, R]] = []
        self._ledger: Ledger[T, R] = Ledger(clock, self._on_leave)
        self._outlook: Outlook[T, R] = Outlook(self._queue, self._isolation, self._seats, self.estimator)
        self._arriving = 0
        self._closing = False
        self._retried = 0
        self._gate = Gate(self.policy, self._outlook, self._ledger, self._seats)
        self._sequence = count()
        self._changed = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    def __repr__(self) -> str:
        return f"Batcher(waiting={self._waiting}, live={self._ledger.live}, seats={self._seats})"

    async def submit(
        self,
        item: T,
        *,
        cost: float = 0.0,
        size: int = 0,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
    ) -> R:
        """Queue an item and wait for its answer. Arguments and refusals as for `enqueue_nowait`.

        Raises `DeadlineExceeded` at the deadline, wherever the item is; `BatchFailed`, or what the runner
        reported, if it could not be run; `RetriesExhausted`; `BatcherClosed`.
        Cancellation: the item is taken back; a batch it already runs in goes on for the others.
        """
        ticket = self.enqueue_nowait(item, cost=cost, size=size, deadline=deadline, urgency=urgency)
        return await ticket.wait()

    def enqueue_nowait(
        self,
        item: T,
        *,
        cost: float = 0.0,
        size: int = 0,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
    ) -> Ticket[T, R]:
        """Queue an item, or refuse it at once.

        `cost`: seconds this item is expected to take beside its share of a batch. `size`: bytes it holds in
        memory. `deadline`: seconds on the batcher's clock (default: `slo_s` from now). `urgency`: 0 (first) to 7
        (RFC 9218).

        Raises `QueueFull`, `WouldBeLate` or `NoRunner`, each with `retry_after_s`; `BatcherClosed`.
        """
        now = self._clock()
        due = now + self.policy.slo_s if deadline is None else deadline
        order = (urgency, due, next(self._sequence))
        predicted = self._admit(now, order, cost, size)
        entry: Entry[T, R] = Entry(item, Oneshot(), now, due, urgency, cost, size, order)
        self._outlook.accept(entry, predicted)
        self._ledger.open(entry)
        self._queue.add(entry)
        self.wake()
        return Ticket(self, entry)

    def check_open(
        self,
        size: int = 0,
        *,
        cost: float = 0.0,
        deadline: float = float("inf"),
        urgency: int = LEAST_URGENT,
        coming: int = 0,
    ) -> None:
        """Raise what would refuse an item now, so that nothing is done for it in vain; counted as refused.

        `coming`: items like it that will be queued before it, and are not yet.
        """
        self._admit(self._clock(), (urgency, deadline, 0), cost, size, coming)

    def refusal(
        self,
        size: int = 0,
        *,
        cost: float = 0.0,
        deadline: float = float("inf"),
        urgency: int = LEAST_URGENT,
        coming: int = 0,
    ) -> Refused | None:
        """As `check_open`, but returns the refusal, at a fraction of the cost: under overload most items end here.

        Raises `BatcherClosed`.
        """
        answer = self._ask(self._clock(), (urgency, deadline, 0), cost, size, coming)
        return answer if isinstance(answer, Refused) else None

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Announce an item that is on its way: a batch that gains by it may wait, for its fixed cost at most."""
        self.announce(1)
        try:
            yield
        finally:
            self.announce(-1)

    def announce(self, count: int) -> None:
        """As `arriving`, for whoever cannot enter a context: so many items more, or less, are on their way."""
        self._arriving += count
        if count < 0:
            self.wake()

    def allow_for_lag(self, lag_s: float) -> None:
        """Until told otherwise, the event loop may keep an item waiting for so many seconds besides. They come off what
        a newcomer may take, up to half of that, and runners are given as much more to do at once."""
        self._gate.lag_s = lag_s
        self._outlook.learn(self._clock())
        pace_s = self.estimator.pace_s
        for seat in self._seats:
            seat.ahead = int(lag_s / pace_s) if pace_s else 0
        self.wake()

    def attach(self, runner: Runner[T, R]) -> Seat[T, R]:
        """Give a runner its seat. It is sent nothing before it grants room."""
        seat = Seat(self, runner)
        self._seats.append(seat)
        self._outlook.seats_changed(self._clock(), fewer=False)
        return seat

    async def drain(self) -> None:
        """Refuse new items from now on, and wait until every accepted one has ended.

        Cancellation: stops waiting; the batcher stays closed to new items.
        """
        self._closing = True
        await self._ledger.wait_empty()

    def stats(self) -> Stats:
        """A snapshot of the state and the counters."""
        self._outlook.learn(self._clock())
        arrivals = (self._queue.oldest_arrival(), self._isolation.suspects.oldest_arrival())
        oldest = min((arrival for arrival in arrivals if arrival is not None), default=None)
        return Stats(
            waiting=self._waiting,
            running=self._ledger.live - self._waiting,
            held_bytes=self._ledger.held_bytes,
            seats=len(self._seats),
            room=sum(seat.room for seat in self._seats),
            oldest_s=0.0 if oldest is None else self._clock() - oldest,
            pace_s=self.estimator.pace_s,
            accepted=self._ledger.accepted,
            answered=self._ledger.answered,
            failed=self._ledger.failed,
            retried=self._retried,
            expired=dict(self._ledger.expired),
            cancelled=dict(self._ledger.cancelled),
            refused=dict(self._gate.refused),
            dropped=dict(self._ledger.dropped),
            slowness=self.estimator.slowness,
            cost_factor=self.estimator.cost_factor,
            prediction_errors=self._outlook.errors,
        )

    # -- for seats and tickets ---------------------------------------------------------------------

    def now(self) -> float:
        """Seconds on the batcher's clock."""
        return self._clock()

    def wake(self) -> None:
        """Something changed: decide again before long."""
        self._changed.set()
        self._gate.forget_example()

    def conclude(self, entry: Entry[T, R], outcome: Result[R] | Failed | Again) -> None:
        """A runner is done with an entry."""
        if isinstance(outcome, Again):
            self._again(entry, outcome)
        else:
            if isinstance(outcome, Result):
                self._outlook.ended(entry, self._clock())
            self._ledger.settle(entry, outcome)
        self.wake()

    def detach(self, seat: Seat[T, R]) -> None:
        """The seat's runner is gone."""
        self._seats.remove(seat)
        self._outlook.seats_changed(self._clock(), fewer=True)
        self.wake()

    def cancel(self, entry: Entry[T, R]) -> bool:
        """The waiter leaves. False if the entry has ended already."""
        return self._ledger.cancel(entry)

    def advance(self, entry: Entry[T, R], deadline: float | None, urgency: int | None) -> None:
        """Move a waiting entry forward in the queue; one that does not wait is not touched."""
        if entry.stage is not Stage.WAITING:
            return
        self._line(entry).remove(entry)
        entry.order = _earlier(entry.order, deadline, urgency)
        self._line(entry).add(entry)
        self.wake()

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        return self._outlook.waiting

    def _admit(self, now: float, order: Order, cost: float, size: int, coming: int = 0) -> Finish:
        """Raise what refuses an item; else its predicted finish."""
        answer = self._ask(now, order, cost, size, coming)
        try:
            if isinstance(answer, Refused):
                raise answer
            return answer
        finally:
            # CORRECTNESS: what is raised holds this frame. Held by it in turn, it would be garbage that only the
            # collector finds, thousands of them under overload; and the event loop stands still meanwhile.
            del answer

    def _ask(self, now: float, order: Order, cost: float, size: int, coming: int) -> Finish | Refused:
        """The predicted finish of an item, or what refuses it. Raises `BatcherClosed`."""
        if self._closing:
            self._gate.refused["closed"] += 1
            raise BatcherClosed("the batcher is closing")
        self._outlook.learn(now)
        return self._gate.ask(now, order, cost, size, coming, self.seat_expected)

    def _again(self, entry: Entry[T, R], outcome: Again) -> None:
        if entry.done:
            if entry.deadline <= (now := self._clock()):
                self._outlook.ended(entry, now)  # not run in time, and not for want of time in hand
            return
        entry.losses += outcome.lost
        if entry.losses >= self.policy.max_losses:
            lost = RetriesExhausted(f"{entry.losses} runners were lost with it, the last: {outcome.reason}")
            self._ledger.settle(entry, Failed(lost))
            return
        self._retried += 1
        entry.stage = Stage.WAITING
        self._line(entry).add(entry)

    def _line(self, entry: Entry[T, R]) -> WaitingQueue[T, R]:
        """Where a waiting entry stands."""
        return self._isolation.suspects if is_suspect(entry) else self._queue

    def _on_leave(self, entry: Entry[T, R]) -> None:
        if entry.stage is Stage.WAITING:
            if entry.deadline <= (now := self._clock()):
                self._outlook.ended(entry, now)  # it would have come later still
            self._line(entry).remove(entry)
        for seat in self._seats:
            if entry in seat.held:
                seat.runner.drop(entry)

    async def _run(self) -> None:
        try:
            while True:
                self._changed.clear()  # CORRECTNESS: before reading, so that no change is missed
                match self._dispatch():
                    case WakeAt(when):
                        await self._wait_changed_or(when)
                    case _:
                        await self._changed.wait()
        finally:
            self._end()

    def _end(self) -> None:
        # CORRECTNESS: refuse first, then settle, so that no item slips in between
        self._closing = True
        self._ledger.abort()

    def _dispatch(self) -> WakeAt | Idle:
        """Send whatever can be sent now."""
        self._outlook.learn(self._clock())
        self._try_suspects()
        self._refuse_overtaken()
        while True:
            now = self._clock()
            seat, room = self._roomiest(now)
            self._discard_dead(self._queue, now, room.items)
            view = self._queue.view(room.items, self.estimator.cost_factor)
            match decide(now, view, room, self._arriving, self.policy, self.profile, self._outlook.pace):
                case Dispatch(count) if seat:
                    self._send(now, seat, self._queue.take(count))
                case Drop(count):
                    self._refuse_hopeless(now, count)
                case WakeAt() | Idle() as rest:
                    return rest

    def _roomiest(self, now: float) -> tuple[Seat[T, R] | None, Room]:
        """The seat that is sent to next: that with most room, of several that which is done first."""
        room_of, residual_s = self._isolation.room, self._outlook.residual_s
        most = max(map(room_of, self._seats), default=0)
        if not most:
            return None, Room(0, 0)
        seats = [seat for seat in self._seats if room_of(seat) == most]
        seat = min(seats, key=lambda one: residual_s(now, one)) if len(seats) > 1 else seats[0]
        pace = self._outlook.pace
        return seat, Room(most, len(seats), residual_s(now, seat) * pace.fastest / pace.slowness, not seat.held)

    def _refuse_overtaken(self) -> None:
        """Tell those at once who have been pushed past their deadlines."""
        now = self._clock()
        for entry, finish_s in self._outlook.overdue(now, self.seat_expected):
            late_s = now + finish_s - entry.deadline
            self._outlook.ended(entry, now + finish_s)
            self._drop(entry, "overtaken", f"others have come before it: it would be {late_s:.3f} s late", late_s)

    def _refuse_hopeless(self, now: float, count: int) -> None:
        """Refuse the first ones, whom it is no use to run."""
        for entry in self._queue.first(count):
            self._outlook.ended(entry, max(now, entry.deadline))
            self._drop(
                entry, "hopeless", "it can no longer be answered in time", self.estimator.alone_s(entry.cost_s, 0.0, 1)
            )

    def _drop(self, entry: Entry[T, R], reason: str, message: str, wait_s: float) -> None:
        if entry.done:
            self._ledger.cancel(entry)
        else:
            self._ledger.drop(entry, WouldBeLate(message, wait_s), reason)

    def _try_suspects(self) -> None:
        """Send the first suspect, alone, if its seat is empty."""
        now = self._clock()
        self._discard_dead(self._isolation.suspects, now, 1)
        if seat := self._isolation.seat_for_next(self._seats):
            self._send(now, seat, self._isolation.suspects.take(1))

    def _discard_dead(self, queue: WaitingQueue[T, R], now: float, room: int) -> None:
        """CORRECTNESS: nothing is started after its deadline, even if its timer comes late, nor for a waiter
        whose task was cancelled just now and has not run yet."""
        while dead := [entry for entry in queue.first(room) if entry.done or entry.deadline <= now]:
            for entry in dead:
                if entry.done:
                    self._ledger.cancel(entry)
                else:
                    self._ledger.expire(entry)

    def _send(self, now: float, seat: Seat[T, R], entries: list[Entry[T, R]]) -> None:
        seat.take(entries, now)
        for entry in entries:
            entry.stage = Stage.RUNNING
        seat.runner.send(entries)

    async def _wait_changed_or(self, when: float) -> None:
        timer = asyncio.get_running_loop().call_later(when - self._clock(), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._loop = self._tasks.create_task(self._run(), name="batcher")
        if self._run_batch:
            runner = CallableRunner(self._run_batch, self.policy.max_batch, self._tasks, self._clock)
            runner.sit(self.attach(runner))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.drain()
        finally:
            self._end()  # CORRECTNESS: here too, since a run loop cancelled before its first step never ran
            self._loop.cancel()
            await self._tasks.__aexit__(kind, error, trace)


def _earlier(order: Order, deadline: float | None, urgency: int | None) -> Order:
    old_urgency, old_due, sequence = order
    return (
        old_urgency if urgency is None else min(old_urgency, urgency),
        old_due if deadline is None else min(old_due, deadline),
        sequence,
    )
