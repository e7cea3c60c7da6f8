"""One client's connection: carries out on a transport what the rules decide. Which library parses is not its business.

It also stands in for the transport towards the parsing library, which writes and closes through it: a response's head
goes out with what follows it, in one write; nothing is written after a final response; a close waits for the client.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from server.web.http.machine import Machine
from server.web.http.pacing import EARLY_CPU_S
from server.web.http.proxy_header import State, read_proxy_header
from server.web.http.rules import LIMITS_S, STALL_S, Action, Do, Event, Phase, Rejection, Respond, Write
from server.web.http.service import Service
from server.web.http.timer import Timer
from server.web.presence import Presence

_INTERIM = b"HTTP/1.1 1"  # 100 Continue: the client waits for it
_STREAM = b"\r\ntransfer-encoding: chunked\r\n"  # a response whose first part may be a while
_BODY, _PACED = Phase.BODY, Phase.PACED
_HEAD_COMPLETE, _BODY_END = Event.HEAD_COMPLETE, Event.BODY_END
_SILENT = frozenset({Phase.LINGERING, Phase.CLOSING, Phase.CLOSED})


class Owner(Protocol):
    """The parsing library's side of a connection."""

    def client_left(self) -> None:
        """The client of a request under way has left."""

    def resume(self) -> None:
        """There may be something to parse, without anything having come."""


class Connection:
    """Its state: the machine's own, the PROXY header, the response head that is held back, and two timers."""

    def __init__(
        self, service: Service, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, owner: Owner
    ) -> None:
        self._peer = _host(transport)
        self.presence = Presence(service.pacing.caller(self._peer))
        self.machine = Machine(self._reject_early)
        self._proxy_header: bytes | None = b"" if service.has_proxy_header(self._peer) else None
        """What has come of it; None once it is whole, or if there is none."""
        self._service = service
        self._transport = transport
        self._owner: Owner | None = owner
        self._limits = {Phase.IDLE: service.keep_alive_s, **LIMITS_S}
        self._changes = 0
        self._timer = Timer(loop, self._on_timeout)
        self._stall = Timer(loop, self._on_stall)
        self._unwritten = 0
        self._responding = False
        self._head = b""
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    # -- what happens --------------------------------------------------------------------------------

    def open(self) -> bool:
        """Ask for admission; False if all that is left is to linger."""
        event = self._service.connections.admit(self)
        self.on(event)
        return event is Event.ADMITTED

    def received(self, data: bytes) -> None:
        """Bytes came: take what `next_piece` gives."""
        if self._proxy_header is not None:
            data = self._behind_proxy_header(self._proxy_header + data)
        if data:
            self.machine.receive(data)

    def next_piece(self) -> bytes | None:
        """What to parse now; None until more comes, or happens."""
        while actions := self.machine.next():
            piece = actions[0]
            if type(piece) is bytes:
                return piece
            self._carry_out(actions)
        self._watch_phase()
        return None

    def on(self, event: Event, code: str = "") -> None:
        """Anything else happened."""
        self._carry_out(self.machine.on(event, code))

    def head_complete(self) -> None:
        """The parser has a request."""
        self.machine.on(_HEAD_COMPLETE)

    def body_end(self) -> None:
        """The parser has all of it."""
        self.machine.on(_BODY_END)

    def answered(self, keep_alive: bool) -> None:
        """Its response is complete."""
        self._responding = False
        self._flush()
        self._carry_out(self.machine.answered(keep_alive))

    def writing_paused(self) -> None:
        """The transport has more to write than it likes to hold."""
        self._watch_writing()

    def writing_resumed(self) -> None:
        """The client has taken most of that."""
        if self.machine.phase not in _SILENT:
            self._stall.set(None)

    def lost(self) -> None:
        """The transport is closed."""
        self.on(Event.LOST)
        self._service.connections.leave(self)
        self._service.pacing.let_go(self)
        self._timer.cancel()
        self._stall.cancel()
        self._owner = None  # which holds this one

    # -- server/web/http/connections.py ---------------------------------------------------------------

    def shut_down(self) -> None:
        """Serve no further request; close at once if none is under way."""
        self.on(Event.SHUTDOWN)

    def abort(self) -> None:
        """Close now; who works for the client is told."""
        self.on(Event.STALLED)

    @property
    def is_unread(self) -> bool:
        """Whether its client has not taken all that was written."""
        return self._transport.get_write_buffer_size() > 0

    # -- the transport, as the parsing library sees it -------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write a piece of a response."""
        if self.machine.phase in _SILENT:
            return
        if not self._responding and not data.startswith(_INTERIM):
            self._responding = True
            if self.machine.phase is _BODY:
                self.machine.on(Event.RESPONSE_BEGUN)
            if _STREAM not in data:
                self._head = data
                return
        head, self._head = self._head, b""
        if head or data:
            self._transport.write(head + data)

    def close(self) -> None:
        """The library's wish to close, which the rules have their own view of: see `answered`."""

    def is_closing(self) -> bool:
        return self.machine.phase in _SILENT

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    # -- inside ---------------------------------------------------------------------------------------

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._do(action)
        self._watch_phase()

    def _do(self, action: Action) -> None:
        match action:
            case Write(data):
                self._transport.write(data)
            case Respond(code):
                self._head = b""
                self._transport.write(self._service.refuse(code, self.machine.head))
            case Do.RESPOND_LATE:
                self._transport.write(self.machine.late)
            case Do.TELL_CLIENT_LEFT:
                self.presence.left()
                if self._owner:
                    self._owner.client_left()
            case Do.LINGER:
                self._flush()
                self._end_writing()
                self._watch_writing()
            case Do.CLOSE:
                self._flush()
                self._transport.close()
                self._watch_writing()
            case _:
                self._transport.abort()

    def _behind_proxy_header(self, data: bytes) -> bytes:
        """What follows the header, once it is whole. A connection that begins otherwise is cut."""
        header = read_proxy_header(data)
        self._proxy_header = data if header.state is State.PARTIAL else None
        if header.state is State.WRONG:
            self.abort()
        if header.state is not State.WHOLE:
            return b""
        if header.address:
            self._peer = header.address
            self.presence.speaks_for(header.address, self._service.pacing.caller(header.address))
        return data[header.size :]

    def _reject_early(self, data: bytes) -> Rejection | None:
        """The refusal of an upload by its first bytes, and whether its client is to be told later."""
        rejection = self._service.reject_early(self._peer, data)
        if rejection is None:
            return None
        delay_s = self.presence.refused(rejection.retry_after_s, EARLY_CPU_S, rejection.client)
        if delay_s:
            self._service.pacing.hold(self, self._tell_now)
        return rejection._replace(delay_s=delay_s)

    def _tell_now(self) -> None:
        """The time of a refusal that was held back has come."""
        if self.machine.phase is _PACED:
            self.on(Event.TIMEOUT)
            if self._owner:
                self._owner.resume()

    def _end_writing(self) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:  # TLS has no half-closed connections; closing reads on and throws away until the client closes as well
            self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def _watch_phase(self) -> None:
        if self._changes != self.machine.changes:
            self._changes = self.machine.changes
            phase = self.machine.phase
            self._timer.set(self.machine.delay_s if phase is _PACED else self._limits.get(phase))

    def _on_timeout(self) -> None:
        phase = self.machine.phase
        if phase is Phase.HEAD or phase is Phase.DISCARDING:
            self._service.connections.note_slow_head()
        if phase is _PACED:
            self._service.pacing.let_go(self)
            self._tell_now()
        elif phase is Phase.LINGERING and self._transport.get_write_buffer_size():
            self._timer.set(self._limits[phase])  # it lingers once it has been told; `_on_stall` sees to the rest
        else:
            self.on(Event.TIMEOUT)

    def _watch_writing(self) -> None:
        self._unwritten = self._transport.get_write_buffer_size()
        if self._unwritten:
            self._stall.set(STALL_S)

    def _on_stall(self) -> None:
        if self._transport.get_write_buffer_size() < self._unwritten:
            self._watch_writing()
        else:
            self.on(Event.STALLED)


def _host(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else ""
