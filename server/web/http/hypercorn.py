"""Connections on hypercorn's HTTP/1.1 protocol (h11, in Python).

What hypercorn tells its TCP server becomes events of `rules`, through `Connection`. Its own TCP server and its loop
of accepting are not used, so nothing of hypercorn is replaced; of h11, one reader is.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import h11
import h11._readers as h11_readers
from h11._receivebuffer import ReceiveBuffer
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as HypercornEvent
from hypercorn.protocol.events import EndBody, Request
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ConnectionState, H11SendableEvent
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batcher.cycles import clear
from server.web.http.connection import Connection
from server.web.http.date import http_date
from server.web.http.head import HEAD_BYTES, origin_form
from server.web.http.rules import Event
from server.web.http.service import Service
from server.web.http.versions import require
from server.web.presence import STATE

VERSIONS = {"hypercorn": "0.18.0", "h11": "0.16.0"}
_READ_BYTES = 64 * 1024
_HIGH_WATER_BYTES = 64 * 1024
_LARGEST_CHUNK = (1 << 64) - 1
_CODES = {431: "headers_too_large", 501: "not_implemented"}


def protocol_factory(service: Service) -> Callable[[], asyncio.Protocol]:
    """What makes the protocol of each new connection. Raises `WrongVersion`."""
    patch_h11()
    config, context, loop = _Config(), WorkerContext(None), asyncio.get_running_loop()
    config.h11_max_incomplete_size = HEAD_BYTES

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await HypercornConnection(service, config, context, reader, writer).run()

    return lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), connected, loop=loop)


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


class _Config(Config):
    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        return [(b"date", http_date())]


class HypercornConnection:
    """One connection. Its state is in `Connection` and in hypercorn's protocol."""

    def __init__(
        self,
        service: Service,
        config: Config,
        context: WorkerContext,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._service = service
        self._config = config
        self._context = context
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._link = Connection(service, cast(asyncio.Transport, writer.transport), self._loop, _nothing)
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Serve until it is closed. Cancellation: closes it."""
        try:
            if self._link.open():
                await self._serve()
            else:
                await self._feed(None)
            await self._writer.wait_closed()
        except OSError:
            pass
        finally:
            self._writer.transport.abort()
            self._link.lost()
            clear(self)

    async def _serve(self) -> None:
        async with TaskGroup(self._loop) as tasks:
            http = self._protocol(tasks)
            await self._feed(http)
            await http.handle(Closed())
        clear(http)

    async def _feed(self, http: "Http1 | None") -> None:
        while data := await self._read():
            self._link.received(data)
            await self._parse(http)
        self._link.on(Event.CLIENT_EOF)

    async def _read(self) -> bytes:
        """What came; nothing once no more will come."""
        try:
            return await self._reader.read(_READ_BYTES)
        except OSError as error:
            error.__traceback__ = (
                None  # the reader keeps the error, which would keep this frame, which keeps the reader
            )
            return b""

    async def _parse(self, http: "Http1 | None") -> None:
        """Parse what may be parsed; what waits for an answer keeps the reader from reading on."""
        while True:
            for piece in self._link.pieces():
                assert http, "what was not admitted is not parsed"
                await http.handle(RawData(piece))
            if not self._link.rules.is_holding:
                return
            self._answered.clear()
            await self._answered.wait()

    async def _send(self, event: HypercornEvent) -> None:
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed) or (isinstance(event, Updated) and event.idle):
            self._link.answered(keep_alive=isinstance(event, Updated))
            self._answered.set()

    async def _write(self, data: bytes) -> None:
        link = self._link
        link.write(data)
        if link.get_write_buffer_size() <= _HIGH_WATER_BYTES:
            return
        link.writing_paused()
        try:
            await self._writer.drain()
        except OSError:
            return  # the client is gone, which the reader sees as well
        link.writing_resumed()

    def _protocol(self, tasks: TaskGroup) -> "Http1":
        link = self._link
        client, server = link.get_extra_info("peername"), link.get_extra_info("sockname")
        state = ConnectionState({STATE: link.presence})
        app: Any = self._service.app
        return Http1(link, app, self._config, self._context, tasks, state, False, client, server, self._send)


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


def _nothing() -> None: ...
