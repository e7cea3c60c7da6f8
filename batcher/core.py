"""The batcher: one owner of the queue and of who holds what.

Everything here runs on one event loop, and between reading state and acting on it there is no `await`; so
there is no lock. The whole mutable state: `_queue` (what waits), `_isolation` (what waits to be tried alone),
`_seats` (each with what its runner holds), `_ledger` (what is accepted and not yet settled), `_arriving`,
`_pace_s`, `_closing`, two counters, `profile`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import TracebackType
from typing import Generic, Self, TypeVar

from batcher.admission import Load, admit
from batcher.callable_runner import CallableRunner, RunBatch
from batcher.entry import Entry, Order, Stage
from batcher.errors import BatcherClosed, RetriesExhausted
from batcher.isolation import Isolation, is_suspect
from batcher.ledger import Ledger
from batcher.oneshot import Again, Failed, Oneshot, Result
from batcher.policy import DEFAULT_URGENCY, LEAST_URGENT, Policy
from batcher.profile import Profile, blend
from batcher.queue import WaitingQueue
from batcher.scheduler import Dispatch, Idle, Room, WakeAt, decide
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
        self.seat_expected: float | None = None
        """When a runner should be ready, on the batcher's clock, while none is; whoever starts runners says."""
        self._run_batch = run_batch
        self._clock = clock
        self._queue: WaitingQueue[T, R] = WaitingQueue()
        self._isolation: Isolation[T, R] = Isolation()
        self._seats: list[Seat[T, R]] = []
        self._ledger: Ledger[T, R] = Ledger(clock, self._on_leave)
        self._arriving = 0
        self._pace_s: float | None = None
        self._closing = False
        self._retried = 0
        self._refused: Counter[str] = Counter()
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

        `cost`: seconds this item alone is expected to take. `size`: bytes it holds in memory. `deadline`:
        seconds on the batcher's clock (default: `slo_s` from now). `urgency`: 0 (first) to 7 (RFC 9218).

        Raises `QueueFull`, `WouldBeLate` or `NoRunner`, each with `retry_after_s`; `BatcherClosed`.
        """
        now = self._clock()
        due = now + self.policy.slo_s if deadline is None else deadline
        order = (urgency, due, next(self._sequence))
        self._admit(now, order, cost, size)
        entry: Entry[T, R] = Entry(item, Oneshot(), now, due, urgency, cost, size, order)
        self._ledger.open(entry)
        self._queue.add(entry)
        self.wake()
        return Ticket(self, entry)

    def check_open(self, size: int = 0, *, deadline: float = float("inf"), urgency: int = LEAST_URGENT) -> None:
        """Raise what would refuse an item now, so that nothing is done for it in vain; counted as refused."""
        self._admit(self._clock(), (urgency, deadline, 0), 0.0, size)

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Announce an item that is on its way: a batch that gains by it may wait, for its fixed cost at most."""
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1
            self.wake()

    def attach(self, runner: Runner[T, R]) -> Seat[T, R]:
        """Give a runner its seat. It is sent nothing before it grants room."""
        seat = Seat(self, runner)
        self._seats.append(seat)
        return seat

    async def drain(self) -> None:
        """Refuse new items from now on, and wait until every accepted one has ended.

        Cancellation: stops waiting; the batcher stays closed to new items.
        """
        self._closing = True
        await self._ledger.wait_empty()

    def stats(self) -> Stats:
        """A snapshot of the state and the counters."""
        arrivals = (self._queue.oldest_arrival(), self._isolation.suspects.oldest_arrival())
        oldest = min((arrival for arrival in arrivals if arrival is not None), default=None)
        return Stats(
            waiting=self._waiting,
            running=self._ledger.live - self._waiting,
            held_bytes=self._ledger.held_bytes,
            seats=len(self._seats),
            room=sum(seat.room for seat in self._seats),
            oldest_s=0.0 if oldest is None else self._clock() - oldest,
            pace_s=self._pace_s,
            accepted=self._ledger.accepted,
            answered=self._ledger.answered,
            failed=self._ledger.failed,
            retried=self._retried,
            expired=dict(self._ledger.expired),
            cancelled=dict(self._ledger.cancelled),
            refused=dict(self._refused),
        )

    # -- for seats and tickets ---------------------------------------------------------------------

    def wake(self) -> None:
        """Something changed: decide again before long."""
        self._changed.set()

    def conclude(self, entry: Entry[T, R], outcome: Result[R] | Failed | Again) -> None:
        """A runner is done with an entry."""
        if isinstance(outcome, Again):
            self._again(entry, outcome)
        else:
            self._pace_s = blend(self._pace_s, (self._clock() - entry.sent) / entry.alongside)
            self._ledger.settle(entry, outcome)
        self.wake()

    def detach(self, seat: Seat[T, R]) -> None:
        """The seat's runner is gone."""
        self._seats.remove(seat)
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
        return len(self._queue) + len(self._isolation.suspects)

    def _admit(self, now: float, order: Order, cost: float, size: int) -> None:
        if self._closing:
            self._refused["closed"] += 1
            raise BatcherClosed("the batcher is closing")
        load = Load(
            waiting=self._waiting,
            held_bytes=self._ledger.held_bytes,
            ahead=self._queue.position(order)
            + len(self._isolation.suspects)
            + sum(len(seat.held) for seat in self._seats),
            seats=len(self._seats),
            seat_expected=self.seat_expected,
            pace_s=self._pace_s,
        )
        if refusal := admit(now, load, size, cost, order[1], self.policy):
            self._refused[refusal.reason] += 1
            raise refusal

    def _again(self, entry: Entry[T, R], outcome: Again) -> None:
        if entry.done:
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
        self._try_suspects()
        room_of = self._isolation.room
        while True:
            now = self._clock()
            seat = max(self._seats, key=room_of, default=None)
            room = room_of(seat) if seat else 0
            self._discard_dead(self._queue, now, room)
            seats = sum(room_of(other) == room for other in self._seats)
            action = decide(now, self._queue.view(room), Room(room, seats), self._arriving, self.policy, self.profile)
            if not isinstance(action, Dispatch) or seat is None:
                return action  # type: ignore[return-value]  # no seat, no room, no Dispatch
            self._send(now, seat, self._queue.take(action.count))

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
        seat.held.update(entries)
        for entry in entries:
            entry.stage = Stage.RUNNING
            entry.sent = now
            entry.alongside = len(seat.held)
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
