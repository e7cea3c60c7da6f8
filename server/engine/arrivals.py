"""Uploads under way: their bytes are counted from the first to the last, and the next batch may wait for the rest."""

from typing import Protocol


class Room(Protocol):
    """Whoever has room for bytes, and may wait for what is nearly here."""

    @property
    def longest_linger_s(self) -> float:
        """Seconds that a batch would wait for an upload: what a batch costs whatever its size."""

    def check_room(self, size: int) -> None:
        """Raises what would refuse `size` bytes of uploads under way: `QueueFull`, `NoExecutor`, `BatcherClosed`."""

    def announce(self, count: int) -> None:
        """So many more uploads, or fewer, are about to be here."""


class Arrivals:
    """The count of the bytes of all uploads under way: its only state."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.bytes = 0
        """Bytes reserved by uploads under way. Only this class writes it."""

    @property
    def longest_linger_s(self) -> float:
        """As `Room.longest_linger_s`."""
        return self._room.longest_linger_s

    def reserve(self, size: int) -> "Reservation":
        """Room for an upload of `size` bytes; 0 while its size is unknown: let it grow.

        Raises what would refuse it if it were here already, so that no client uploads in vain.
        """
        self.hold(size)
        return Reservation(self, size)

    def hold(self, size: int) -> None:
        """Count so many bytes more. Raises as `reserve`."""
        self._room.check_room(self.bytes + size)
        self.bytes += size

    def let_go(self, size: int) -> None:
        """Count so many bytes less."""
        self.bytes -= size

    def announce(self, count: int) -> None:
        """As `Room.announce`."""
        self._room.announce(count)


class Reservation:
    """Room for the bytes of one upload while they arrive. A context manager; made by `Arrivals.reserve`."""

    def __init__(self, arrivals: Arrivals, size: int) -> None:
        """`size`: bytes that are counted for it already."""
        self._arrivals = arrivals
        self._bytes = size
        self._announced = False

    def grow_to(self, size: int) -> None:
        """Hold `size` bytes in all. Raises as `Arrivals.reserve`."""
        if size > self._bytes:
            self._arrivals.hold(size - self._bytes)
            self._bytes = size

    def expect(self, within_s: float) -> None:
        """The rest should be here in so many seconds: if that is soon enough to count, a batch may wait for it."""
        if not self._announced and 0 < within_s <= self._arrivals.longest_linger_s:
            self._announced = True
            self._arrivals.announce(1)

    def release(self) -> None:
        """Give the room back; once is enough. Raises nothing: an answer may be on its way out."""
        self._arrivals.let_go(self._bytes)
        self._bytes = 0
        if self._announced:
            self._announced = False
            self._arrivals.announce(-1)

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
