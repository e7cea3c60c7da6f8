"""One connection of uvicorn's HTTP/1.1 protocol (httptools, in C), with the rules of server/web/connections.py.

Beyond uvicorn: connections are counted and capped; a request's head has a deadline and a limit, as has whatever comes
without being of any use; an offer to upgrade is declined, trailers are dropped, and little may be pipelined; a refusal
waits for the answers before it and reaches a client that is still sending; a client that takes nothing is left; and
whoever works for a client is told when that leaves.
"""

import asyncio
from typing import NoReturn, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from server.web.connections import HEAD_BYTES, LINGER_S, STALL_S, TURNED_AWAY, Connections, HeadDeadline
from server.web.presence import STATE, Presence

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_MAX_PIPELINED = 32  # requests that came before the one ahead of them was answered


class Connection(HttpToolsProtocol):
    """See the module."""

    def __init__(self, connections: Connections, config: Config, state: ServerState, gone: asyncio.Event) -> None:
        """`gone` is set whenever a connection has ended."""
        self._gone = gone
        self._presence = Presence()
        super().__init__(config, state, {STATE: self._presence})
        self._limits = connections
        self._counted = False
        self._deaf = False
        """What comes is not read any more."""
        self._last_words: bytes | None = None
        """To be said when the requests under way are answered."""
        self._fault = _BAD_REQUEST
        """What to say if the parser fails."""
        self._barren = 0
        """Bytes since anything came of them."""
        self._unwanted = 0
        """Bytes of a refused body that are still to come."""
        self._in_head = False
        self._head_deadline = HeadDeadline(connections)
        self._stalled: asyncio.TimerHandle | None = None

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        corked = cast(asyncio.Transport, _Corked(transport, self.loop))
        if self._limits.open >= self._limits.limit:
            self._limits.turned_away += 1
            self.transport = corked
            self._part(TURNED_AWAY)
            return
        self._counted = True
        self._limits.open += 1
        super().connection_made(corked)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._counted:
            self._limits.parting -= self._deaf
            return
        self._limits.open -= 1
        self._head_deadline.watch(False, self.transport)
        self._watch_writing(paused=False)
        self._presence.left()
        super().connection_lost(exc)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if data := self._turned_away(data):
            self._parse(data)
        else:
            self._head_deadline.watch(self._unwanted > 0, self.transport)

    def _turned_away(self, data: bytes) -> bytes:
        """What the parser has to see of `data`: not an upload that the turnstile refuses, nor the rest of its body."""
        unwanted = min(self._unwanted, len(data))
        self._unwanted -= unwanted
        data = data[unwanted:]
        between = not self._in_head and not self.pipeline and self._is_idle()
        refusal = self._limits.turnstile(data) if data and between else None
        if refusal is None:
            return data
        self._unwanted = refusal.rest
        cast(_Corked, self.transport).write_through(refusal.response)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        return b""

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._barren += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._fault)
            return
        if self._barren > HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        else:
            self._head_deadline.watch(self._in_head or self._is_idle(), self.transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(paused=True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_writing(paused=False)

    # -- httptools ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > HEAD_BYTES:
            self._fail(_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, and may not pass for a header (RFC 9110, section 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._fail(TURNED_AWAY)
        self._in_head = False
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._barren = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._barren = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    # -- uvicorn -----------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        cast(_Corked, self.transport).flush()
        if self.cycle.more_body and self.cycle.response_complete:  # the rest of a body that nobody wants
            self.transport.close()
        if self._last_words is not None and not self.pipeline and not self.transport.is_closing():
            self._part(self._last_words)
        else:
            super().on_response_complete()

    # -- inside ------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])

    def _decline(self, rest: bytes) -> None:
        """Read the request as if it had not offered to upgrade, as a server may (RFC 9110, section 7.8): httptools
        would take its body, and all that follows, for the other protocol."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(_BAD_REQUEST)
            return
        fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, b"".join(fields), rest))

    def _fail(self, words: bytes) -> NoReturn:
        """From within a call of the parser: let it fail, and then say this."""
        self._fault = words
        raise ValueError(words)

    def _refuse(self, words: bytes) -> None:
        """Read no more, and say this in its turn: after the answers to what came whole."""
        self._deaf = True
        self._head_deadline.watch(False, self.transport)
        cycle = self.cycle
        if self._is_idle():
            self._part(words)
        elif not cycle.more_body:
            self._last_words = words
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self._last_words = words
        else:
            self._presence.left()
            cycle.disconnected = True
            cycle.message_event.set()
            self._part(b"" if cycle.response_started else words)

    def _part(self, words: bytes) -> None:
        """Say this and hang up, but hear the client out: if it is still sending, it would get a reset instead."""
        self.transport.write(words)
        if not self._counted and self._limits.parting >= self._limits.max_parting:
            self.transport.close()
            return
        self._limits.parting += not self._counted
        self._deaf = True
        self.transport.write_eof()
        self.transport.resume_reading()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _watch_writing(self, paused: bool) -> None:
        """A client that takes nothing for a while is left, or it would keep its place for ever."""
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None
        if paused:
            size = self.transport.get_write_buffer_size()
            self._stalled = self.loop.call_later(STALL_S, self._on_stall, size)

    def _on_stall(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._watch_writing(paused=True)
        else:
            self.transport.abort()


class _Corked:
    """A transport that writes a response's head with what follows it, in one system call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._ended = False
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if self._ended:  # a handler that has not heard yet that all is said
            return
        if not self._head and _is_head(data):
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

    def write_eof(self) -> None:
        self.flush()
        self._ended = True
        self._transport.write_eof()

    def close(self) -> None:
        """Once what was written has been taken, or has not been for a while."""
        self.flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(STALL_S, self._transport.abort)


def _is_head(data: bytes) -> bool:
    """Of a final response: what is said in between, such as 100 Continue, is waited for."""
    return data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1" and data.endswith(b"\r\n\r\n")
