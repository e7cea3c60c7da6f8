"""Runners, and the seat each takes at the batcher.

The protocol: a runner grants room, counted in items; it is sent entries; it finishes each of them with
exactly one outcome, or closes its seat, which sends everything it held back to the queue.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from batcher.entry import Entry
from batcher.oneshot import Again, Failed, Result

if TYPE_CHECKING:
    from batcher.core import Batcher

_MOST_AHEAD = 2  # times what it grants: if it dies, all that it held has to be tried alone

T = TypeVar("T")
R = TypeVar("R")


class Runner(Protocol[T, R]):
    """Executes what it is sent. Both methods must return at once and must not raise."""

    def send(self, entries: Sequence[Entry[T, R]]) -> None:
        """Take these entries, in this order; no more than the room granted."""

    def drop(self, entry: Entry[T, R]) -> None:
        """Nobody waits for this entry any more. Its outcome is still owed; the work may be skipped."""


class Seat(Generic[T, R]):
    """One runner's place at a batcher: what it holds, what more it would take. Made by `Batcher.attach`."""

    def __init__(self, batcher: "Batcher[T, R]", runner: Runner[T, R]) -> None:
        self._batcher = batcher
        self.runner = runner
        self.granted = 0
        self.ahead = 0
        """Items it is given beyond its grant, for as long as whoever drives the batcher may be late to give it more."""
        self.held: set[Entry[T, R]] = set()
        self.held_cost_s = 0.0
        """Own costs of what it holds, as named by those who brought it."""
        self.since = 0.0
        """When it last answered something, or got something to do after it had nothing."""
        self.begun = 0
        """How much it held then: what came later is no part of the batch that runs."""
        self._done: list[tuple[float, float]] = []  # when, own cost; since the last `take_done`

    def __repr__(self) -> str:
        return f"Seat(held={len(self.held)}, room={self.room})"

    @property
    def room(self) -> int:
        """How many more items the runner takes now."""
        return max(0, self.granted + min(self.ahead, _MOST_AHEAD * self.granted) - len(self.held))

    def grant(self, items: int) -> None:
        """From now on the runner holds up to `items` at once. What it already holds is not taken back."""
        self.granted = items
        self._batcher.wake()

    def finish(self, entry: Entry[T, R], outcome: Result[R] | Failed | Again, cost_s: float | None = None) -> None:
        """The outcome of one entry this seat holds, and what its own cost was, if it was measured. Late ones, whose
        waiter has gone, are dropped, but teach as much as others."""
        self.held.remove(entry)
        self.held_cost_s = self.held_cost_s - entry.cost_s if self.held else 0.0
        if isinstance(outcome, Result):  # what failed fast says nothing of how fast the others are
            self._done.append((self._batcher.now(), entry.cost_s))
        if cost_s is not None:
            self._batcher.estimator.observe_cost(entry.cost_s, cost_s)
        self._batcher.conclude(entry, outcome)

    def take(self, entries: Sequence[Entry[T, R]], now: float) -> None:
        """For the batcher: this seat is about to be sent these."""
        if not self.held:
            self.since, self.begun = now, 0
        self.held.update(entries)
        if self.since == now:
            self.begun = len(self.held)
        self.held_cost_s += sum(entry.cost_s for entry in entries)

    def take_done(self) -> tuple[float, float, int] | None:
        """For the batcher: seconds it was busy since the last time, own costs and number of what it answered."""
        if not self._done:
            return None
        until = self._done[-1][0]
        done = (until - self.since, sum(cost_s for _, cost_s in self._done), len(self._done))
        self.since, self.begun = until, len(self.held)
        self._done.clear()
        return done

    def observe(self, size: int, seconds: float) -> None:
        """A batch of `size` ran for `seconds`: the profile learns from it."""
        self._batcher.profile.observe(size, seconds)

    def close(self, reason: str) -> None:
        """The runner is gone: what it held goes back to the queue, with age and deadline kept, to be tried alone."""
        self._batcher.detach(self)
        held, self.held = self.held, set()
        for entry in sorted(held, key=lambda entry: entry.order):
            self._batcher.conclude(entry, Again(reason, lost=True))
