"""One HTTP/1.1 connection: a request, its whole answer, the next request. Decides nothing about when."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol, cast

from server.commands.bench.records import Outcome
from server.commands.bench.response import BadResponse, Parser, Response


class Shot(NamedTuple):
    """A request to send. `due` and `lag` in seconds: when it should go out, and how late we were to see that."""

    due: float
    lag: float
    picture: int


class Owner(Protocol):
    """Who is told what becomes of shots and connections."""

    def settle(self, shot: Shot, outcome: int, response: Response | None) -> None:
        """Called exactly once for each shot that was given to a connection."""

    def free(self, connection: Connection) -> None:
        """The connection may take a shot."""

    def gone(self, connection: Connection) -> None:
        """The connection has ended, on either side; called once per connection."""


class Connection(asyncio.Protocol):
    """Its whole state: the shot it is busy with, the response so far, and whether bytes are still to be sent."""

    def __init__(self, owner: Owner) -> None:
        self.shot: Shot | None = None
        self.since = 0.0  # when the last shot was due
        self._owner = owner
        self._parser = Parser()
        self._sending = False
        self._closing = False

    @property
    def waiting(self) -> bool:
        """For an answer, or for the server to take the rest of a request that it has answered."""
        return self.shot is not None or self._sending

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.set_write_buffer_limits(high=0)  # then `resume_writing` means that all is sent
        self._owner.free(self)

    def send(self, shot: Shot, request: bytes) -> None:
        """Send `request`; only for a connection that is free."""
        self.shot, self.since = shot, shot.due
        self._transport.write(request)

    def close(self) -> None:
        """End it, politely."""
        self._closing = True
        self._transport.close()

    def give_up(self, outcome: Outcome) -> None:
        """End it at once, whatever is still to come."""
        self._settle(outcome, None)
        self._closing = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.shot is None:
            if not self._closing:
                self.give_up(Outcome.MALFORMED)  # unrequested bytes: what follows cannot be trusted
            return
        try:
            response = self._parser.feed(data)
        except BadResponse:
            self.give_up(Outcome.MALFORMED)
            return
        if response:
            self._answered(response)

    def pause_writing(self) -> None:
        self._sending = True

    def resume_writing(self) -> None:
        self._sending = False
        if self.shot is None and not self._closing:
            self._owner.free(self)

    def eof_received(self) -> None:
        response = self._parser.end()
        if response and self.shot is not None:
            self._answered(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._settle(Outcome.RESET if isinstance(exc, ConnectionError) else Outcome.CLOSED, None)
        self._owner.gone(self)

    def _answered(self, response: Response) -> None:
        self._settle(response.status, response)
        if response.closes:
            self.close()
        elif not self._sending:  # an early answer: the rest of the request has to go out first
            self._owner.free(self)

    def _settle(self, outcome: int, response: Response | None) -> None:
        shot, self.shot = self.shot, None
        if shot is not None:
            self._owner.settle(shot, outcome, response)
