"""The application on uvicorn's HTTP/1.1 protocol (httptools, in C), with the rules of server/web/connection.py.

Hypercorn's h11 is Python: on models that take a millisecond it is most of what a request costs. uvicorn is an extra
(`tureen[uvicorn]`); pyproject.toml pins it exactly, and a test fails when what is reached into has changed.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from server.web.connection import BACKLOG, HEAD_BYTES, HEAD_S, TURNED_AWAY, Connections
from server.web.presence import STATE, Presence

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


async def serve(
    app: ASGIApp,
    listener: int,
    connections: Connections,
    keep_alive_s: float,
    graceful_s: float,
    stop: Callable[[], Awaitable[None]],
) -> None:
    """Serve on an inherited listening socket until `stop` returns, then answer what is under way.

    After `graceful_s` seconds the rest is left. Cancellation: leaves it at once.
    """
    config = Config(
        cast(Any, app),
        timeout_keep_alive=cast(Any, keep_alive_s),
        access_log=False,
        log_level="error",
        log_config=None,
        proxy_headers=False,
        ws="none",
    )
    config.load()
    state, gone = ServerState(), asyncio.Event()
    loop = asyncio.get_running_loop()
    sock = socket.socket(fileno=listener)
    server = await loop.create_server(lambda: _Connection(connections, config, state, gone), sock=sock, backlog=BACKLOG)
    clock = asyncio.ensure_future(_keep_date(state))
    try:
        await stop()
        server.close()
        await _finish(state, gone, graceful_s)
    finally:
        clock.cancel()


async def _keep_date(state: ServerState) -> None:
    while True:
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        await asyncio.sleep(1)


async def _finish(state: ServerState, gone: asyncio.Event, graceful_s: float) -> None:
    """Close what is idle; wait for the rest, which closes when it has been answered."""
    for connection in list(state.connections):
        connection.shutdown()
    try:
        async with asyncio.timeout(graceful_s):
            while state.connections:
                gone.clear()
                await gone.wait()
            await asyncio.gather(*state.tasks, return_exceptions=True)
    except TimeoutError:
        pass


class _Connection(HttpToolsProtocol):
    """One connection. Beyond uvicorn: counted and capped, its requests' heads have a deadline and a limit, it does not
    wait for a first request for ever, and whoever works for its client is told when that leaves."""

    def __init__(self, connections: Connections, config: Config, state: ServerState, gone: asyncio.Event) -> None:
        """`gone` is set whenever a connection has ended."""
        self._gone = gone
        self._presence = Presence()
        super().__init__(config, state, {STATE: self._presence})
        self._limits = connections
        self._counted = False
        self._head_bytes = 0
        self._in_head = False
        self._head_due: asyncio.TimerHandle | None = None
        self._unwanted = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self._limits.open >= self._limits.limit:
            self._limits.turned_away += 1
            transport.write(TURNED_AWAY)
            transport.close()
            return
        self._counted = True
        self._limits.open += 1
        super().connection_made(cast(asyncio.Transport, _Corked(transport)))
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._counted:
            return
        self._limits.open -= 1
        self._watch_head(waiting=False)
        self._presence.left()
        super().connection_lost(exc)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        if not self._counted:
            return
        if data := self._turned_away(data):
            self._parse(data)
        self._watch_head(self._in_head or self._unwanted > 0)

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def _turned_away(self, data: bytes) -> bytes:
        """What the parser has to see of `data`: not an upload that the turnstile refuses, nor the rest of its body."""
        data = self._without_rest(data)
        refusal = self._limits.turnstile(data) if data and self._is_between_requests() else None
        if refusal is None:
            return data
        self._unwanted = refusal.rest
        cast(_Corked, self.transport).write_through(refusal.response)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        return b""

    def _without_rest(self, data: bytes) -> bytes:
        unwanted = min(self._unwanted, len(data))
        self._unwanted -= unwanted
        return data[unwanted:]

    def _is_between_requests(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return not self._in_head and not self.pipeline and (cycle is None or cycle.response_complete)

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        cast(_Corked, self.transport).flush()
        if self.cycle.more_body and self.cycle.response_complete:  # the rest of a body that nobody wants
            self.transport.close()
        super().on_response_complete()

    def _watch_head(self, waiting: bool) -> None:
        """The deadline is the head's, not the last byte's: it is set once, and stands until the head is whole."""
        if waiting and not self._head_due:
            self._head_due = self.loop.call_later(HEAD_S, self._head_is_late)
        elif not waiting and self._head_due:
            self._head_due.cancel()
            self._head_due = None

    def _head_is_late(self) -> None:
        self._limits.slow_heads += 1
        self.transport.abort()


class _Corked:
    """A transport that writes a response's head with what follows it, in one system call."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if not self._head and data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def write_through(self, data: bytes) -> None:
        """Write what is whole already."""
        self._transport.write(data)

    def flush(self) -> None:
        """Write what is held back, if anything."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()
