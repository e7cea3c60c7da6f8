"""What ASGI cannot do: hypercorn's settings, and the connection rules around its TCP server.

pyproject.toml pins hypercorn exactly; a test fails when what is reached into has changed.
"""

import asyncio
import resource
from functools import partial
from typing import Any

import h11
import hypercorn.asyncio.run as hypercorn_run
from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol

_HEADER_BYTES = 16 * 1024
_HEADER_S = 10.0  # from the first byte of a request's head to its last
_BACKLOG = 2048
_NO_CAP = 1 << 62
_OTHER_FILES = 64  # descriptors kept for everything that is not a client's connection
_TURNED_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def hypercorn_config(listener: int, keep_alive_s: float, graceful_s: float) -> Config:
    """Hypercorn on an inherited listening socket, HTTP/1.1 only."""
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.alpn_protocols = ["http/1.1"]
    config.backlog = _BACKLOG
    config.h11_max_incomplete_size = _HEADER_BYTES
    config.keep_alive_timeout = keep_alive_s  # longer than the load balancer's, or it meets closed connections
    config.keep_alive_max_requests = _NO_CAP  # a closed connection now and then is a lost request now and then
    config.graceful_timeout = graceful_s
    config.include_server_header = False
    config.loglevel = "WARNING"
    return config


class Connections:
    """The clients' connections of one web process: how many there may be, how many there are."""

    def __init__(self, limit: int) -> None:
        """The limit is lowered to what the system's limit of open files, raised as far as it goes, has room for."""
        self.limit = max(1, min(limit, _open_files() - _OTHER_FILES))
        self.open = 0
        self.turned_away = 0
        self.slow_heads = 0

    def guard(self) -> None:
        """Put the rules around every connection that hypercorn makes in this process.

        No upgrade to h2c and no HTTP/2 preface on a plain port: both smuggle requests past a proxy.
        """
        H11Protocol._check_protocol = _only_http1  # type: ignore[method-assign]
        hypercorn_run.TCPServer = partial(_Connection, self)  # type: ignore[assignment, attr-defined]


class _Connection(TCPServer):
    """One connection. Beyond hypercorn: counted and capped, and its requests' heads have a deadline."""

    def __init__(self, connections: Connections, *args: Any) -> None:  # noqa: ANN401 - hypercorn's own
        super().__init__(*args)
        self._connections = connections
        self._head_due: asyncio.TimerHandle | None = None
        self._client_left = False

    async def run(self) -> None:
        if self._connections.open >= self._connections.limit:
            self._connections.turned_away += 1
            self.writer.write(_TURNED_AWAY)
            await self._close()
            return
        self._connections.open += 1
        try:
            await super().run()
        finally:
            self._connections.open -= 1
            self._watch_head(waiting=False)

    async def _read_data(self) -> None:
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(MAX_RECV)
            except OSError:
                break
            await self.protocol.handle(RawData(data))
            self._watch_head(waiting=self._is_inside_head())
        # Hypercorn keeps a connection whose client has left for the whole keep-alive time: its idle timer runs in
        # the task group that the connection waits for.
        self._client_left = True
        await self.idle_task.stop()
        await self.protocol.handle(Closed())

    async def protocol_send(self, event: Event) -> None:
        if not (self._client_left and isinstance(event, Updated)):  # nor may a late answer start it again
            await super().protocol_send(event)

    def _is_inside_head(self) -> bool:
        """Whether the client has begun a request whose head is not complete."""
        http = getattr(self.protocol.protocol, "connection", None)
        return isinstance(http, h11.Connection) and http.their_state is h11.IDLE and bool(http.trailing_data[0])

    def _watch_head(self, waiting: bool) -> None:
        """The deadline is the head's, not the last byte's: it is set once, and stands until the head is whole."""
        if waiting and not self._head_due:
            self._head_due = self.loop.call_later(_HEADER_S, self._head_is_late)
        elif not waiting and self._head_due:
            self._head_due.cancel()
            self._head_due = None

    def _head_is_late(self) -> None:
        self._connections.slow_heads += 1
        self.writer.transport.abort()


async def _only_http1(self: H11Protocol, event: Any) -> None:  # noqa: ANN401 - h11's event
    return None


def _open_files() -> int:
    """The limit of open files of this process, raised as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (soft, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
