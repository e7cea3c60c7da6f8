"""All client connections of one web process: how many there may be, and how they end together."""

import asyncio
import resource
from typing import Final, Protocol

from server.web.http.rules import Event

_OTHER_FILES: Final = 64  # descriptors kept for everything that is not a client's connection
_TO_READ: Final = 0.5  # of the time for the end, in which clients take what was written
_MAX_LINGERING: Final = 24  # of them for clients over the limit, while they read that they are


class Endable(Protocol):
    """One connection, as far as its end is concerned."""

    def shut_down(self) -> None:
        """Serve no further request; close at once if none is under way."""

    def abort(self) -> None:
        """Close now."""

    @property
    def is_unread(self) -> bool:
        """Whether its client has not taken all that was written."""


class Counts(Protocol):
    """How many connections there are and were."""

    @property
    def open(self) -> int:
        """Connections within the limit, idle ones included."""

    @property
    def rejected(self) -> int:
        """Connections over the limit so far."""

    @property
    def slow_heads(self) -> int:
        """Requests so far whose head took too long."""


class Connections:
    """Owns the count of connections. Its state: the admitted ones, those lingering over the limit, three totals."""

    def __init__(self, limit: int) -> None:
        """The limit is lowered to what the system's limit of open files, raised as far as it goes, has room for."""
        self.limit = max(1, min(limit, _open_files() - _OTHER_FILES))
        self._admitted: set[Endable] = set()
        self._lingering: set[Endable] = set()
        self._empty = asyncio.Event()
        self._ending = False
        self._rejected = 0
        self._slow_heads = 0

    @property
    def open(self) -> int:
        """Connections within the limit, idle ones included."""
        return len(self._admitted)

    @property
    def rejected(self) -> int:
        """Connections over the limit so far."""
        return self._rejected

    @property
    def slow_heads(self) -> int:
        """Requests so far whose head took too long."""
        return self._slow_heads

    def admit(self, connection: Endable) -> Event:
        """Whether there is room for one more. Whatever is said, `leave` is due when it is closed."""
        if not self._is_full() and not self._ending:
            self._admitted.add(connection)
            return Event.ADMITTED
        self._reject()
        if len(self._lingering) >= _MAX_LINGERING:
            return Event.FAR_OVER_LIMIT
        self._lingering.add(connection)
        return Event.OVER_LIMIT

    def leave(self, connection: Endable) -> None:
        """It is closed; once is enough."""
        self._admitted.discard(connection)
        self._lingering.discard(connection)
        if self._ending and not self._admitted:
            self._empty.set()

    def note_slow_head(self) -> None:
        """Count one."""
        self._slow_heads += 1

    async def end(self, within_s: float) -> None:
        """Close what is idle, wait for what is not; abort what is left after so many seconds, and after half of that
        what its client does not read: that is no reason for a server to be late.

        Cancellation: waits no longer.
        """
        self._ending = True
        for connection in list(self._admitted):
            connection.shut_down()
        if not self._admitted:
            return
        if await self._ended(within_s * _TO_READ):
            return
        for connection in list(self._admitted):
            if connection.is_unread:
                connection.abort()
        if not await self._ended(within_s * (1 - _TO_READ)):
            for connection in list(self._admitted):
                connection.abort()

    def _is_full(self) -> bool:
        return len(self._admitted) >= self.limit

    def _reject(self) -> None:
        self._rejected += 1

    async def _ended(self, within_s: float) -> bool:
        """Whether all have ended within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True


def _open_files() -> int:
    """The limit of open files of this process, raised as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (soft, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
