"""Requests that a front does not answer itself, passed on to the engine's process: all but plain uploads.

They go over a Unix socket as HTTP/1.1, one connection per request, behind a PROXY header with the client's address. So
they are answered by the same code as without fronts, which sees the same client, and every limit is the server's.
"""

from pathlib import Path
from typing import Final

import anyio
import h11
from anyio.abc import SocketStream, TaskGroup
from starlette.types import Receive, Scope, Send

from server.web.client import read_address
from server.web.errors import ClientGone, RequestError
from server.web.presence import STATE, Presence
from server.web.request import client_host

_READ_BYTES: Final = 64 * 1024
_OWN: Final = frozenset({b"keep-alive", b"transfer-encoding", b"date"})
"""Of a response: the front's connection to its client has its own."""
_HOP: Final = frozenset({b"connection", b"keep-alive", b"expect", b"upgrade", b"proxy-connection"})
"""Of a request: what the client has settled with the front."""


class EngineAway(Exception):
    """There is no process that would answer, or it has gone before it did."""


class ResponseCut(Exception):
    """The process that was answering has gone in the midst of its response."""


class Relay:
    """Passes requests on to the socket at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered there. Raises `EngineAway` and `RequestError` before any of the response was sent;
        `ResponseCut`, `ClientGone`.

        Cancellation: as if the client had left.
        """
        try:
            head = _head(scope)
        except h11.LocalProtocolError as error:  # it is stricter than the server's parser
            raise RequestError("malformed_request") from error
        try:
            stream = await anyio.connect_unix(self._path)
        except OSError as error:
            raise EngineAway from error
        async with stream:
            await _Exchange(head, receive, send, stream).run(_proxy_header(scope))


class _Exchange:
    """One request and its response. Its state: the request's, and how far the response has come."""

    def __init__(self, head: h11.Request, receive: Receive, send: Send, stream: SocketStream) -> None:
        self._head = head
        self._receive = receive
        self._send = send
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._begun = self._ended = self._client_left = False

    async def run(self, preface: bytes) -> None:
        """As `Relay`. `preface`: what the connection begins with."""
        await self._write(preface + (self._http.send(self._head) or b""))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_body, tasks)
            await self._pass_response()
            tasks.cancel_scope.cancel()
        if self._client_left:
            raise ClientGone
        if not self._ended:
            raise ResponseCut if self._begun else EngineAway

    async def _pass_body(self, tasks: TaskGroup) -> None:
        """Pass on what the client sends until it leaves. What is too late for the response is thrown away."""
        more = True
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                break
            if more:
                more = message.get("more_body", False)
                await self._pass_piece(message.get("body", b""), last=not more)
        if not self._ended:
            self._client_left = True
            tasks.cancel_scope.cancel()

    async def _pass_piece(self, body: bytes, *, last: bool) -> None:
        if self._http.our_state is not h11.SEND_BODY:
            return
        data = (self._http.send(h11.Data(data=body)) or b"") if body else b""
        if last:
            data += self._http.send(h11.EndOfMessage()) or b""
        await self._write(data)

    async def _pass_response(self) -> None:
        """Ends early where the connection does."""
        while not self._ended:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                return
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._read())
            elif isinstance(event, h11.Response):
                self._begun = True
                headers = [(name, value) for name, value in event.headers if name not in _OWN]
                await self._send({"type": "http.response.start", "status": event.status_code, "headers": headers})
            elif isinstance(event, h11.Data):
                await self._send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            elif isinstance(event, h11.EndOfMessage):
                self._ended = True
                await self._send({"type": "http.response.body", "body": b""})
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return

    async def _write(self, data: bytes) -> None:
        try:
            if data:
                await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # it has answered without the rest, or gone: reading tells

    async def _read(self) -> bytes:
        try:
            return await self._stream.receive(_READ_BYTES)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return b""


def _head(scope: Scope) -> h11.Request:
    """Raises `h11.LocalProtocolError`."""
    target = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers = [(name, value) for name, value in scope["headers"] if name not in _HOP]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", b""))
    return h11.Request(method=scope["method"], target=target, headers=headers)


def _proxy_header(scope: Scope) -> bytes:
    """As version 1 of the PROXY protocol has it."""
    presence: Presence = scope["state"][STATE]
    address = read_address(presence.peer or client_host(scope))
    if address is None:
        return b"PROXY UNKNOWN\r\n"
    return f"PROXY TCP{address.version} {address} {address} 0 0\r\n".encode()
