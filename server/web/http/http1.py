"""Hypercorn's HTTP/1.1 protocol (h11, in Python), its events told to `Connection`, and kept to HTTP/1.1.

Of h11 one reader is replaced, so that it takes no more than httptools does.
"""

from functools import partial
from typing import Any

import h11
import h11._readers as h11_readers
from h11._receivebuffer import ReceiveBuffer
from hypercorn.config import Config
from hypercorn.protocol.events import EndBody, Request
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import H11SendableEvent
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.web.http.connection import Connection
from server.web.http.date import http_date
from server.web.http.head import HEAD_BYTES, origin_form
from server.web.http.rules import Event
from server.web.http.versions import require

VERSIONS = {"hypercorn": "0.18.0", "h11": "0.16.0"}
_LARGEST_CHUNK = (1 << 64) - 1
_CODES = {431: "headers_too_large", 501: "not_implemented"}


def patch_h11() -> None:
    """Make h11 refuse what llhttp refuses in chunked bodies. Raises `WrongVersion`."""
    require(VERSIONS)
    h11_readers.READERS[h11.SEND_BODY]["chunked"] = _StrictChunks  # type: ignore[index]


class _StrictChunks(h11_readers.ChunkedReader):
    def __call__(self, buffer: ReceiveBuffer) -> Any:  # noqa: ANN401 - h11's own
        trailers = bytes(buffer) if self._reading_trailer else b""
        if trailers.count(b"\n") != trailers.count(b"\r\n") or b"\n " in trailers or b"\n\t" in trailers:
            raise h11.LocalProtocolError("malformed trailer")
        event = super().__call__(buffer)
        if self._bytes_in_chunk > _LARGEST_CHUNK:
            raise h11.LocalProtocolError("chunk size past any number")
        return event


class Http1Config(Config):
    """What hypercorn's protocol reads of its configuration."""

    h11_max_incomplete_size = HEAD_BYTES

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        return [(b"date", http_date())]


class Http1(H11Protocol):
    """HTTP/1.1 and nothing else: no upgrade to h2c, no HTTP/2 preface on a plain port, no websockets. They smuggle
    requests past a proxy."""

    def __init__(self, link: Connection, app: ASGIApp, *args: Any) -> None:  # noqa: ANN401 - hypercorn's own
        super().__init__(self._run_app, *args)  # type: ignore[arg-type]
        self._link = link
        self._app = app

    async def _run_app(self, scope: Scope, receive: Receive, send: Send, *_: object) -> None:
        """The application. Told to go on, a client sends the body that it has announced only."""
        if self.connection.they_are_waiting_for_100_continue:
            receive = partial(self._invite, receive)
        await self._app(scope, receive, send)

    async def _invite(self, receive: Receive) -> Message:
        http = self.connection
        if http.they_are_waiting_for_100_continue and isinstance(http, h11.Connection):
            self._link.write(http.send(h11.InformationalResponse(status_code=100, headers=[])))
        return await receive()

    async def _check_protocol(self, event: h11.Request) -> None: ...

    async def _create_stream(self, request: h11.Request) -> None:
        self._link.head_complete()
        given = (self.app, self.config, self.context, self.task_group, self.ssl, self.client, self.server)
        self.stream = Stream(self._link, *given, self.stream_send, STREAM_ID)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii"),
                raw_path=origin_form(request.target),
                state=self.connection_state,
            )
        )

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        if not isinstance(event, h11.InformationalResponse):  # 100, before anybody wants the body: see `_invite`
            await super()._send_h11_event(event)

    async def _send_error_response(self, status_code: int) -> None:
        self._link.on(Event.REJECTED, _CODES.get(status_code, "malformed_request"))


class Stream(HTTPStream):
    """One request."""

    def __init__(self, link: Connection, *args: Any) -> None:  # noqa: ANN401 - hypercorn's own
        super().__init__(*args)
        self._link = link

    async def handle(self, event: StreamEvent) -> None:
        if type(event) is EndBody:
            self._link.body_end()
        await super().handle(event)
