"""The rules that every connection keeps, whichever HTTP server made it, and the count of them all.

Put into practice twice, in what ASGI cannot do: `hypercorn_connection` and `uvicorn_connection`.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from typing import Protocol

from server.web.plain import Refusal

HEAD_BYTES = 16 * 1024  # of one request
HEAD_S = 10.0  # from the first byte of a request's head to its last
BACKLOG = 2048
LINGER_S = 2.0  # in which a client that was refused may see that it was, before it is hung up on
STALL_S = 10.0  # without a byte being taken by the client
_OTHER_FILES = 64  # descriptors kept for everything that is not a client's connection
_MAX_PARTING = 24  # of them for clients that are being turned away
TURNED_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Endable(Protocol):
    """A connection as far as its end is concerned."""

    def end_idle(self) -> None:
        """Close it: nothing is under way."""


class Connections:
    """The clients' connections of one web process: how many there may be, how many there are."""

    def __init__(self, limit: int) -> None:
        """The limit is lowered to what the system's limit of open files, raised as far as it goes, has room for."""
        self.limit = max(1, min(limit, _open_files() - _OTHER_FILES))
        self.open = 0
        self.turned_away = 0
        self.slow_heads = 0
        self.turnstile: Callable[[bytes], Refusal | None] = lambda _: None
        """Says what to answer to the first bytes of a request in the place of its parser, if anything."""
        self.parting = 0
        """Clients that are being turned away: not among the open ones."""
        self.max_parting = _MAX_PARTING
        self._idle: set[Endable] = set()
        self._ending: asyncio.Task[None] | None = None

    def mark_idle(self, connection: Endable, idle: bool) -> None:
        """Whether a connection has nothing under way."""
        if idle:
            self._idle.add(connection)
        else:
            self._idle.discard(connection)

    def end_idle_when(self, terminated: Callable[[], Awaitable[object]]) -> None:
        """Once this returns, what is idle is closed."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end_idle(terminated))

    async def _end_idle(self, terminated: Callable[[], Awaitable[object]]) -> None:
        await terminated()
        for connection in list(self._idle):
            connection.end_idle()


class HeadDeadline:
    """Of the request that a connection has begun: set once, it stands until the head is whole, whatever comes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._due: asyncio.TimerHandle | None = None

    def watch(self, waiting: bool, transport: asyncio.WriteTransport) -> None:
        """Whether something has begun on this transport that is not whole. It is aborted when the deadline passes."""
        if waiting and not self._due:
            self._due = asyncio.get_running_loop().call_later(HEAD_S, self._is_late, transport)
        elif not waiting and self._due:
            self._due.cancel()
            self._due = None

    def _is_late(self, transport: asyncio.WriteTransport) -> None:
        self._connections.slow_heads += 1
        transport.abort()


def _open_files() -> int:
    """The limit of open files of this process, raised as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (soft, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
