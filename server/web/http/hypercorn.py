"""Connections on hypercorn's HTTP/1.1 protocol: the place of hypercorn's own TCP server.

What hypercorn tells that server becomes events of the rules, through `Connection`. Nothing of hypercorn is patched.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as HypercornEvent
from hypercorn.typing import ConnectionState

from batcher.cycles import clear
from server.web.http.connection import Connection
from server.web.http.http1 import Http1, Http1Config, patch_h11
from server.web.http.rules import Event
from server.web.http.service import Service
from server.web.presence import STATE

_READ_BYTES = 64 * 1024
_HIGH_WATER_BYTES = 64 * 1024


def protocol_factory(service: Service) -> Callable[[], asyncio.Protocol]:
    """What makes the protocol of each new connection. Raises `WrongVersion`."""
    patch_h11()
    config, context, loop = Http1Config(), WorkerContext(None), asyncio.get_running_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await HypercornConnection(service, config, context, reader, writer).run()

    return lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), connected, loop=loop)


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
        self._link = Connection(service, cast(asyncio.Transport, writer.transport), self._loop, self)
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

    def client_left(self) -> None:
        """Nothing: hypercorn is told when reading ends."""

    def resume(self) -> None:
        """As `Owner.resume`."""
        self._answered.set()

    async def _serve(self) -> None:
        async with TaskGroup(self._loop) as tasks:
            http = self._protocol(tasks)
            await self._feed(http)
            await http.handle(Closed())
        clear(http)

    async def _feed(self, http: Http1 | None) -> None:
        while data := await self._read():
            self._link.received(data)
            await self._parse(http)
        self._link.on(Event.CLIENT_EOF)

    async def _read(self) -> bytes:
        """What came; nothing once no more will come."""
        try:
            return await self._reader.read(_READ_BYTES)
        except OSError as error:
            error.__traceback__ = None  # the reader keeps the error, and its traceback would keep the reader
            return b""

    async def _parse(self, http: Http1 | None) -> None:
        """Parse what may be parsed; what waits for an answer keeps the reader from reading on."""
        while True:
            while (piece := self._link.next_piece()) is not None:
                assert http, "what was not admitted is not parsed"
                await http.handle(RawData(piece))
            if not self._link.machine.is_holding:
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

    def _protocol(self, tasks: TaskGroup) -> Http1:
        link = self._link
        client, server = link.get_extra_info("peername"), link.get_extra_info("sockname")
        state = ConnectionState({STATE: link.presence})
        app: Any = self._service.app
        return Http1(link, app, self._config, self._context, tasks, state, False, client, server, self._send)
