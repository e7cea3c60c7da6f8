"""Uploads under way: their bytes are counted as they arrive, and the next batch may wait for the rest.

What a client declares is not there yet: until it comes, an upload counts for a small allowance. So connections that
declare much and send nothing take no room from others. Where bytes run short, whoever needs some gets those of uploads
that deserve them less: slower ones, else newer ones, else much larger ones. They are given up, and told `QueueFull`.
"""

import math
import time
from collections.abc import Callable
from typing import Protocol

from batcher import QueueFull, Refused

_ALLOWANCE_BYTES = 16 * 1024  # of an upload of which nothing has come: 10,000 of them are 160 MB
_WINDOW_S = 1.0  # of the present rate
_NEW_RATE = 64 * 1024.0  # bytes per second that an upload is believed in its first window
_LEVELS_OF_2 = 2  # a level of rates is a factor of 4: less is no reason to prefer one upload to another
_MUCH_LARGER = 4
_SPARE = 64  # when slow uploads are given up, this part of the bound is freed at a time: finding them costs a scan
_RETRY_S = 1.0

GiveUp = Callable[[Refused], None]
"""Ends an upload with an error."""


class Room(Protocol):
    """Whoever has room for bytes, and may wait for what is nearly here."""

    @property
    def max_bytes(self) -> int:
        """Bytes there is room for in all."""

    @property
    def free_bytes(self) -> int:
        """Bytes there is room for now, uploads under way not counted."""

    @property
    def longest_linger_s(self) -> float:
        """Seconds that a batch would wait for an upload: what a batch costs whatever its size."""

    def check_room(self, size: int) -> None:
        """Raises what would refuse `size` bytes of uploads under way: `QueueFull`, `NoExecutor`, `BatcherClosed`."""

    def announce(self, count: int) -> None:
        """So many more uploads, or fewer, are about to be here."""


class Arrivals:
    """Owns the bytes of all uploads under way. Its whole state: their sum, and those that can be given up, by age."""

    def __init__(self, room: Room, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = room
        self._clock = clock
        self._under_way: dict[Reservation, GiveUp] = {}
        self.bytes = 0
        """Bytes held by uploads under way. Only this class writes it."""

    @property
    def longest_linger_s(self) -> float:
        """As `Room.longest_linger_s`."""
        return self._room.longest_linger_s

    def reserve(self, size: int, give_up: GiveUp | None = None) -> "Reservation":
        """Room for an upload of `size` bytes; 0 while its size is unknown.

        `give_up` ends it where others need its bytes more; without one it is never given up. Raises what would refuse
        it if its allowance were here already.
        """
        reservation = Reservation(self, self._clock())
        held = min(size, _ALLOWANCE_BYTES)
        self._make_room(held, reservation)
        self._room.check_room(self.bytes + held)
        self.bytes += held
        reservation.bytes = held
        if give_up:
            self._under_way[reservation] = give_up
        return reservation

    def grow(self, reservation: "Reservation", count: int) -> None:
        """So many bytes more of it are here than it holds. Raises `QueueFull`."""
        if self.bytes + count > self._room.free_bytes:
            self._make_room(count, reservation)
            self._room.check_room(self.bytes + count)
        self.bytes += count
        reservation.bytes += count

    def let_go(self, reservation: "Reservation") -> None:
        """It has ended; once is enough."""
        self.bytes -= reservation.bytes
        reservation.bytes = 0
        self._under_way.pop(reservation, None)

    def now(self) -> float:
        """Seconds on a monotonic clock."""
        return self._clock()

    def announce(self, count: int) -> None:
        """As `Room.announce`."""
        self._room.announce(count)

    def _make_room(self, count: int, asker: "Reservation") -> None:
        """Give up others for `count` bytes, if that is enough; else nobody, as it would be in vain."""
        short = self.bytes + count - self._room.free_bytes
        if short <= 0:
            return
        spare = short + self._room.max_bytes // _SPARE
        victims, freed = [], 0
        for (why, *_), upload in _least_deserving(list(self._under_way), asker, count, self._clock()):
            if freed >= (spare if why == _SLOWER else short):
                break
            victims.append(upload)
            freed += upload.bytes
        if freed >= short:
            for upload in victims:
                give_up = self._under_way[upload]
                self.let_go(upload)
                upload.is_given_up = True
                give_up(_short_of_bytes())


class Reservation:
    """The bytes of one upload while it arrives. A context manager; made by `Arrivals.reserve`, which writes `bytes`."""

    def __init__(self, arrivals: Arrivals, started: float) -> None:
        self.bytes = 0
        """Bytes it holds: those that are here, or its allowance."""
        self.started = started
        self.is_given_up = False
        self._arrivals = arrivals
        self._announced = self._released = False
        self._arrived = 0
        self._window = started
        self._in_window = self._in_last_window = 0

    def grow_to(self, size: int) -> None:
        """`size` bytes are here in all. Raises `QueueFull`."""
        if self.is_given_up:
            raise _short_of_bytes()
        self._note(size - self._arrived, self._arrivals.now())
        self._arrived = size
        if size > self.bytes:
            self._arrivals.grow(self, size - self.bytes)

    def rate(self, now: float) -> float:
        """Bytes per second of late."""
        windows = (now - self._window) / _WINDOW_S
        recent = 0 if windows >= 2 else self._in_window if windows >= 1 else max(self._in_window, self._in_last_window)
        return max(recent / _WINDOW_S, _NEW_RATE if now - self.started < _WINDOW_S else 0.0)

    def expect(self, within_s: float) -> None:
        """The rest should be here in so many seconds: if that is soon enough to count, a batch may wait for it."""
        if not self._announced and 0 < within_s <= self._arrivals.longest_linger_s:
            self._announced = True
            self._arrivals.announce(1)

    def release(self) -> None:
        """Give the room back; once is enough. Raises nothing: an answer may be on its way out."""
        if self._released:
            return
        self._released = True
        self._arrivals.let_go(self)
        if self._announced:
            self._announced = False
            self._arrivals.announce(-1)

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _note(self, count: int, now: float) -> None:
        windows = (now - self._window) / _WINDOW_S
        if windows >= 1:
            self._in_last_window = self._in_window if windows < 2 else 0
            self._in_window, self._window = 0, now
        self._in_window += count


_SLOWER, _NEWER, _LARGER = range(3)


def _least_deserving(
    uploads: list[Reservation], asker: Reservation, count: int, now: float
) -> list[tuple[tuple[float, ...], Reservation]]:
    """Those that deserve their bytes less than `asker` deserves `count` more, the least deserving first, and why."""
    level, size = _level(asker.rate(now)), asker.bytes + count
    ranked: list[tuple[tuple[float, ...], Reservation]] = []
    for upload in uploads:
        own = _level(upload.rate(now))
        if upload is asker or not upload.bytes:
            continue
        if own < level:
            ranked.append(((_SLOWER, own, -upload.started), upload))
        elif own == level and upload.started > asker.started:
            ranked.append(((_NEWER, -upload.started), upload))
        elif upload.bytes > _MUCH_LARGER * size:
            ranked.append(((_LARGER, -upload.bytes), upload))
    return sorted(ranked, key=lambda pair: pair[0])


def _level(rate: float) -> int:
    return int(math.log2(rate + 1)) // _LEVELS_OF_2


def _short_of_bytes() -> QueueFull:
    return QueueFull("other uploads need the bytes more", _RETRY_S)
