"""What ASGI cannot do: hypercorn's settings, and the connection rules around its TCP server.

pyproject.toml pins hypercorn exactly; a test fails when what is reached into has changed.
"""

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import h11
import h11._readers as h11_readers
import hypercorn.asyncio.run as hypercorn_run
import hypercorn.protocol as hypercorn_protocol
from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.asyncio.worker_context import EventWrapper
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import H11SendableEvent

from server.web.connections import BACKLOG, HEAD_BYTES, LINGER_S, STALL_S, TURNED_AWAY, Connections, HeadDeadline
from server.web.presence import STATE, Presence

_NO_CAP = 1 << 62


class _Config(Config):
    """Hypercorn lets every child inherit the listening socket: a worker that held it would keep the port open."""

    def create_sockets(self) -> Sockets:
        sockets = super().create_sockets()
        for listener in sockets.insecure_sockets:
            listener.set_inheritable(False)
        return sockets


def hypercorn_config(listener: int, keep_alive_s: float, graceful_s: float) -> Config:
    """Hypercorn on an inherited listening socket, HTTP/1.1 only."""
    config = _Config()
    config.bind = [f"fd://{listener}"]
    config.alpn_protocols = ["http/1.1"]
    config.backlog = BACKLOG
    config.h11_max_incomplete_size = HEAD_BYTES
    config.keep_alive_timeout = keep_alive_s  # longer than the load balancer's, or it meets closed connections
    config.keep_alive_max_requests = _NO_CAP  # a closed connection now and then is a lost request now and then
    config.graceful_timeout = graceful_s
    config.include_server_header = False
    config.loglevel = "WARNING"
    return config


def guard(connections: Connections) -> None:
    """Put the rules around every connection that hypercorn makes in this process."""
    h11_readers._obsolete_line_fold = _refuse_folds
    hypercorn_protocol.H11Protocol = _Http1  # type: ignore[assignment, attr-defined]
    hypercorn_run.TCPServer = partial(_Connection, connections)  # type: ignore[assignment, attr-defined]


class _Refused(Event):
    """The client was told that its request makes no sense, and may still be sending."""


class _Gate(EventWrapper):
    """What a pipelined request waits behind. If the answer before it cannot be written, hypercorn leaves it waiting for
    good, and with it the connection."""

    broken = False

    async def wait(self) -> None:
        await super().wait()
        if self.broken:
            raise BrokenPipeError


class _Http1(H11Protocol):
    """HTTP/1.1 and nothing else: no upgrade to h2c, no HTTP/2 preface on a plain port (both smuggle requests past a
    proxy), no websockets. A response's head goes out with what follows it, in one write."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - hypercorn's own
        super().__init__(*args)
        self._head = b""
        self.can_read = self.gate = _Gate()

    async def _check_protocol(self, event: h11.Request) -> None:
        return None

    async def _create_stream(self, request: h11.Request) -> None:
        self.stream = HTTPStream(
            *(self.app, self.config, self.context, self.task_group, self.ssl, self.client, self.server),
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(_Refused())

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._head = data
        else:
            head, self._head = self._head, b""
            await self.send(RawData(data=head + data))


class _Connection(TCPServer):
    """One connection. Beyond hypercorn: counted and capped, its requests' heads have a deadline, and whoever works
    for its client is told when that leaves. Idle ones cost no task."""

    def __init__(self, connections: Connections, *args: Any) -> None:  # noqa: ANN401 - hypercorn's own
        super().__init__(*args)
        self._connections = connections
        self._presence = Presence()
        self.state = {**self.state, STATE: self._presence}
        self.idle_task = _NoTask()  # type: ignore[assignment]
        self._head_deadline = HeadDeadline(connections)
        self._idle_due: asyncio.TimerHandle | None = None
        self._unwanted = 0

    async def run(self) -> None:
        connections = self._connections
        if connections.open >= connections.limit:
            connections.turned_away += 1
            self.writer.write(TURNED_AWAY)
            if connections.parting < connections.max_parting:
                connections.parting += 1
                await self._hear_out()
                connections.parting -= 1
            await self._close()
            return
        connections.open += 1
        connections.end_idle_when(self.context.terminated.wait)
        try:
            await super().run()
        finally:
            connections.open -= 1
            self._head_deadline.watch(False, self.writer.transport)
            self._watch_idle(idle=False)
            self._let_go()

    def _let_go(self) -> None:
        """Break the circles: connection and protocol point at each other, a lost connection's error at its own reader,
        and all of them at what was read of a body. The garbage collector counts objects, not bytes, and would come
        after thousands of them."""
        if error := self.reader.exception():
            error.__traceback__ = None
        vars(self).clear()

    async def _read_data(self) -> None:
        self._watch_idle(idle=True)
        while not self.reader.at_eof():
            try:
                if data := await self._turned_away(await self.reader.read(MAX_RECV)):
                    await self.protocol.handle(RawData(data))
            except OSError:
                break
            self._head_deadline.watch(self._unwanted > 0 or self._is_inside_head(), self.writer.transport)
        self._watch_idle(idle=False)
        self._presence.left()
        await self.protocol.handle(Closed())

    async def _turned_away(self, data: bytes) -> bytes:
        """What the parser has to see of `data`: not an upload that the turnstile refuses, nor the rest of its body."""
        data = self._without_rest(data)
        refusal = self._connections.turnstile(data) if data and self._is_between_requests() else None
        if refusal is None:
            return data
        self._unwanted = refusal.rest
        await self._write(refusal.response)
        self._watch_idle(idle=True)
        return b""

    def _without_rest(self, data: bytes) -> bytes:
        unwanted = min(self._unwanted, len(data))
        self._unwanted -= unwanted
        return data[unwanted:]

    def _is_between_requests(self) -> bool:
        http = getattr(self.protocol.protocol, "connection", None)
        return (
            isinstance(http, h11.Connection)
            and http.their_state is h11.IDLE
            and http.our_state is h11.IDLE
            and not http.trailing_data[0]
        )

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Updated):
            self._watch_idle(event.idle)
        elif isinstance(event, _Refused):
            await self._hear_out()
        else:
            await super().protocol_send(event)

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            self.writer.write(data)
            if self.writer.transport.get_write_buffer_size():
                await self._drain()
        except (ConnectionError, RuntimeError):
            await self.protocol.handle(Closed())
            await self._read_no_more()

    async def _read_no_more(self) -> None:
        http = self.protocol.protocol
        if isinstance(http, _Http1):
            http.gate.broken = True
            await http.gate.set()

    async def _drain(self) -> None:
        """A client that takes nothing for a while is left, or it would keep its place for ever."""
        transport = self.writer.transport
        before = transport.get_write_buffer_size() + 1
        while transport.get_write_buffer_size() < before:
            before = transport.get_write_buffer_size()
            try:
                async with asyncio.timeout(STALL_S):
                    await self.writer.drain()
                return
            except TimeoutError:
                pass
        transport.abort()
        raise BrokenPipeError

    async def _hear_out(self) -> None:
        """Hang up in one direction and read on: a client that is still sending would get a reset, not our words."""
        try:
            self.writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                while await self.reader.read(MAX_RECV):
                    pass
        except (OSError, RuntimeError, TimeoutError):
            pass

    async def _close(self) -> None:
        self._leave_in_time()
        await super()._close()

    def _leave_in_time(self) -> None:
        """What is closed stays open until the client has taken what was written; one that takes nothing is left."""
        transport = self.writer.transport
        if transport.get_write_buffer_size():
            self.loop.call_later(STALL_S, transport.abort)

    def _watch_idle(self, idle: bool) -> None:
        """A timer, since hypercorn's task would be made anew for each request, and keep the connection from ending."""
        if self._idle_due:
            self._idle_due.cancel()
            self._idle_due = None
        if idle:
            self._idle_due = self.loop.call_later(self.config.keep_alive_timeout, self.end_idle)
        self._connections.mark_idle(self, idle)

    def end_idle(self) -> None:
        """Close it: nothing is under way."""
        self._leave_in_time()
        self.writer.close()  # its reading ends, and with it everything else

    def _is_inside_head(self) -> bool:
        """Whether the client has begun a request whose head is not complete."""
        http = getattr(self.protocol.protocol, "connection", None)
        return isinstance(http, h11.Connection) and http.their_state is h11.IDLE and bool(http.trailing_data[0])


class _NoTask:
    """In the place of hypercorn's task for each idle connection, which a timer here does the work of."""

    async def restart(self, *_: object) -> None: ...

    async def stop(self) -> None: ...


def _refuse_folds(lines: Iterable[bytes]) -> Iterator[bytes]:
    """In the place of h11's unfolding of header lines: not all who read the same head see the same header there."""
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            raise h11.LocalProtocolError("folded header line")
        yield line
