"""The accepted entries and how each of them ended: every one is settled exactly once, here."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from batcher.entry import Entry, Stage
from batcher.errors import BatcherClosed, DeadlineExceeded, Refused
from batcher.oneshot import Failed, Result

T = TypeVar("T")
R = TypeVar("R")


class Ledger(Generic[T, R]):
    """Opens, counts and settles entries, and expires them by timers of their own.

    `on_leave(entry)` is called when an entry ends before its outcome came: expired, dropped, cancelled or aborted.
    Its stage still says where it stood.
    """

    def __init__(self, clock: Callable[[], float], on_leave: Callable[[Entry[T, R]], None]) -> None:
        self._clock = clock
        self._on_leave = on_leave
        self._open: dict[Entry[T, R], asyncio.TimerHandle] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.held_bytes = 0
        self.accepted = 0
        self.answered = 0
        self.failed = 0
        self.expired: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    @property
    def live(self) -> int:
        """Entries somebody waits for."""
        return len(self._open)

    async def wait_empty(self) -> None:
        """Wait until no entry is live."""
        await self._empty.wait()

    def open(self, entry: Entry[T, R]) -> None:
        """An entry is accepted: from now on it ends exactly once, at its deadline at the latest."""
        self.accepted += 1
        self.held_bytes += entry.size
        self._empty.clear()
        self._arm(entry)

    def settle(self, entry: Entry[T, R], outcome: Result[R] | Failed) -> bool:
        """Answer the waiter; False if the entry had ended before."""
        if not entry.oneshot.settle(outcome):
            return False
        if isinstance(outcome, Failed):
            self.failed += 1
        else:
            self.answered += 1
        self._close(entry)
        return True

    def expire(self, entry: Entry[T, R]) -> None:
        """The deadline has passed."""
        if entry.oneshot.settle(Failed(DeadlineExceeded(entry.stage.value))):
            self.expired[entry.stage.value] += 1
            self._leave(entry)

    def drop(self, entry: Entry[T, R], refusal: Refused, reason: str) -> None:
        """An entry was accepted, and is refused after all, before it was run."""
        if entry.oneshot.settle(Failed(refusal)):
            self.dropped[reason] += 1
            self._leave(entry)

    def cancel(self, entry: Entry[T, R]) -> bool:
        """The waiter leaves; False if the entry had ended before."""
        # A waiter whose task was cancelled has taken the oneshot with it: not open is what says "ended".
        if entry not in self._open:
            return False
        entry.oneshot.abandon()
        self.cancelled[entry.stage.value] += 1
        self._leave(entry)
        return True

    def abort(self) -> None:
        """Fail whatever is still open."""
        for entry in list(self._open):
            if entry.oneshot.settle(Failed(BatcherClosed("the batcher has closed"))):
                self.failed += 1
                self._leave(entry)
            else:
                self.cancel(entry)

    def _leave(self, entry: Entry[T, R]) -> None:
        # CORRECTNESS: its oneshot is done by now, so that a runner that gives it back from within is ignored
        self._on_leave(entry)
        self._close(entry)

    def _close(self, entry: Entry[T, R]) -> None:
        entry.stage = Stage.SETTLED
        self.held_bytes -= entry.size
        self._open.pop(entry).cancel()
        if not self._open:
            self._empty.set()

    def _arm(self, entry: Entry[T, R]) -> None:
        delay = entry.deadline - self._clock()
        self._open[entry] = asyncio.get_running_loop().call_later(delay, self._on_timer, entry)

    def _on_timer(self, entry: Entry[T, R]) -> None:
        if self._clock() < entry.deadline:
            self._arm(entry)  # event loops count in coarser steps than the clock and may be early
        else:
            self.expire(entry)
