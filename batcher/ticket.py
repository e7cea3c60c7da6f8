"""What the holder of a queued item can do with it."""

from typing import TYPE_CHECKING, Generic, TypeVar

from batcher.entry import Entry, Stage

if TYPE_CHECKING:
    from batcher.core import Batcher

T = TypeVar("T")
R = TypeVar("R")


class Ticket(Generic[T, R]):
    """The receiving end of one accepted item. Whoever holds it either waits for it or cancels it."""

    __slots__ = ("_batcher", "_entry")

    def __init__(self, batcher: "Batcher[T, R]", entry: Entry[T, R]) -> None:
        self._batcher = batcher
        self._entry = entry

    @property
    def stage(self) -> Stage:
        return self._entry.stage

    async def wait(self) -> R:
        """Wait for the answer; errors as for `Batcher.submit`. Cancellation: as `cancel`."""
        try:
            return await self._entry.oneshot.wait()
        finally:
            self.cancel()  # does nothing once the answer is there

    def cancel(self) -> bool:
        """Take the item back: it leaves the queue, or its answer is dropped. False if it has ended."""
        return self._batcher.cancel(self._entry)

    def advance(self, *, deadline: float | None = None, urgency: int | None = None) -> None:
        """Serve it as if it had this earlier deadline or higher urgency; it is never moved back.

        Only its place in the queue changes: it still expires at the deadline it came with.
        """
        self._batcher.advance(self._entry, deadline, urgency)
