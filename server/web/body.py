"""The body guard, outermost of all: no body is too large or too slow, and no early answer leaks a connection.

Two facts about hypercorn shape it. It hands body events to a queue of ten: when an application answers
without reading them, its own `send` of the last event waits behind that queue for good. And it closes a
connection whose request was not read to its end, so that the client may lose the answer to a reset.

So an answer to a body that has not ended is sent whole but held open while the rest of the body is read and
thrown away, within bounds; then, whether or not the body ended, the last event is sent while a task beside
it goes on reading.
"""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.web.errors import RequestError

_GRACE_S = 5.0
_DRAIN_S = 5.0
_LONGEST_LENGTH = 20  # digits
_LAST: Message = {"type": "http.response.body", "body": b"", "more_body": False}


def declared_length(headers: Headers) -> int:
    """The Content-Length in bytes, 0 where there is none. Raises `RequestError` bad_content_length."""
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal() and len(declared) < _LONGEST_LENGTH):
        raise RequestError("bad_content_length", {"Connection": "close"})
    return int(declared)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how slow."""

    max_bytes: int
    timeout_s: float
    """Seconds in which the whole of it must arrive."""
    min_rate: float
    """Bytes a second that it must bring on average, once its first few seconds are over."""


class BodyGuard:
    """Pure ASGI middleware around an application."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = GuardedBody(scope, receive, send, self._limits)
        await self._app(scope, body.receive, body.send)


class GuardedBody:
    """One request's body and answer, under guard."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: BodyLimits) -> None:
        self._receive = receive
        self._send = send
        self._limits = limits
        self._started = asyncio.get_running_loop().time()
        self._headers = Headers(scope=scope)
        self._seen = 0
        self._ended = not ({"content-length", "transfer-encoding"} & set(self._headers))

    async def receive(self) -> Message:
        """The next event. Raises `RequestError`: body_too_large, upload_timeout, bad_content_length."""
        if self._ended:
            return await self._receive()
        if not self._seen:
            self._check_declared_length()
        try:
            async with asyncio.timeout_at(self._next_due()):
                message = await self._receive()
        except TimeoutError:
            raise RequestError("upload_timeout", {"Connection": "close"}) from None
        self._note(message)
        if self._seen > self._limits.max_bytes:
            raise RequestError("body_too_large")
        return message

    async def send(self, message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._ended or not last:
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._drain()
        await self._finish()

    def _next_due(self) -> float:
        """When more must have come: what is here has bought time at the minimum rate, up to the whole body's."""
        bought_s = _GRACE_S + self._seen / self._limits.min_rate
        return self._started + min(bought_s, self._limits.timeout_s)

    def _check_declared_length(self) -> None:
        if declared_length(self._headers) > self._limits.max_bytes:
            raise RequestError("body_too_large")

    def _note(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self._ended = True
        elif message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)

    async def _drain(self) -> None:
        """Read the rest of the body and throw it away: at most twice the byte limit, for a few seconds."""
        budget = self._seen + 2 * self._limits.max_bytes
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not self._ended and self._seen < budget:
                    self._note(await self._receive())
        except TimeoutError:
            pass

    async def _finish(self) -> None:
        """The last event. CORRECTNESS: with somebody reading beside it, or it waits behind a full queue."""
        if self._ended:
            await self._send(_LAST)
            return
        reading = asyncio.ensure_future(self._read_on())
        try:
            await self._send(_LAST)
        finally:
            reading.cancel()

    async def _read_on(self) -> None:
        while not self._ended:
            self._note(await self._receive())
