"""Which offsets of a log may be committed: all below the lowest that is unfinished. Pure."""


class Offsets:
    """Of one partition. The whole state: the offsets taken and not finished, the next one, and what was committed."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._next: int | None = None
        self._committed: int | None = None

    def take(self, offset: int) -> None:
        """It was delivered; offsets come in their order."""
        self._open.add(offset)
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """It is done with; nothing if it was never taken here."""
        self._open.discard(offset)

    def to_commit(self) -> int | None:
        """The lowest unfinished offset; None if that was told before, or nothing was taken."""
        lowest = min(self._open, default=self._next)
        if lowest is None or lowest == self._committed:
            return None
        return lowest

    def committed(self, offset: int) -> None:
        """It has been committed."""
        self._committed = offset
