"""Connections on uvicorn's HTTP/1.1 protocol (httptools, in C).

Callbacks become events of `rules`, through `Connection`. What uvicorn would decide itself (when to close, what to say
to a malformed request, how much to read ahead, upgrades) is decided there.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from server.web.http.connection import Connection
from server.web.http.date import http_date
from server.web.http.head import HEAD_BYTES, origin_form
from server.web.http.rules import Event
from server.web.http.service import Service
from server.web.http.versions import require
from server.web.presence import STATE

VERSIONS = {"uvicorn": "0.54.0", "httptools": "0.9.0"}
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*", re.IGNORECASE)


def protocol_factory(service: Service) -> Callable[[], asyncio.Protocol]:
    """What makes the protocol of each new connection. Raises `WrongVersion`."""
    require(VERSIONS)
    config = Config(
        cast(Any, service.app), access_log=False, log_level="error", log_config=None, proxy_headers=False, ws="none"
    )
    config.load()
    state = ServerState()
    return lambda: UvicornConnection(service, config, state)


class UvicornConnection(HttpToolsProtocol):
    """One connection. Its state beyond uvicorn's: the bytes parsed since the last ones that were of a body."""

    _link: Connection

    def __init__(self, service: Service, config: Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._service = service
        self._framing_bytes = 0
        self._in_head = False

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._link = link = Connection(self._service, transport, self.loop, self)
        self.transport = cast(asyncio.Transport, link)
        self.flow = FlowControl(self.transport)
        self.app_state[STATE] = link.presence
        self.server, self.client, self.scheme = get_local_addr(transport), get_remote_addr(transport), "http"
        link.open()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.lost()
        self.client_left()
        self.flow.resume_writing()
        self.parser = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._link.received(data)
        self._parse()

    def eof_received(self) -> None:
        self._link.on(Event.CLIENT_EOF)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._link.writing_paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._link.writing_resumed()

    # -- httptools ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, and may not pass for a header (RFC 9110, section 6.5.1)
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_head = False
        self._framing_bytes = 0
        path, _, query = origin_form(self.url).partition(b"?")
        version = self.parser.get_http_version()
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"], scope["query_string"] = path, query
        scope["path"] = unquote(path.decode("ascii")) if b"%" in path else path.decode("ascii")
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[(b"date", http_date())],
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._link.head_complete()
        self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._link.body_end()
            super().on_message_complete()

    # -- uvicorn -----------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self._link.answered(self.cycle.keep_alive)
        self.flow.resume_reading()
        if self._link.machine.has_bytes:
            self._parse()

    # -- server/web/http/connection.py -------------------------------------------------------------

    def client_left(self) -> None:
        """As `Owner.client_left`."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def resume(self) -> None:
        """As `Owner.resume`."""
        self.flow.resume_reading()
        self._parse()

    # -- inside ------------------------------------------------------------------------------------

    def _parse(self) -> None:
        link = self._link
        while (piece := link.next_piece()) is not None:
            self._framing_bytes += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                self._decline(piece)
            except httptools.HttpParserError:
                self._link.on(Event.REJECTED, "malformed_request")
            if self._framing_bytes > HEAD_BYTES:
                self._link.on(Event.REJECTED, "headers_too_large")
        if self._link.machine.is_holding:
            self.flow.pause_reading()

    def _decline(self, piece: bytes) -> None:
        """Read a request as if it had not offered to upgrade, as a server may (RFC 9110, section 7.8). httptools would
        take its body, and all that follows, for the other protocol."""
        head = self._link.machine.head
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(_UPGRADE.sub(b"", head) + piece[len(head) :])
