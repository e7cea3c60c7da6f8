"""The rules of one client's connection, as a table. Sans-io: no socket, no clock, no HTTP library.

Two rules decide everything else:

1. One request at a time. What comes behind a request is kept unparsed until that request has been answered.
2. Each phase has at most one time limit, and it starts when the phase does.

How it is driven, by `server/web/http/connection.py`:

    rules.receive(data)                  bytes came
    while action := rules.next(): ...    what to do with them: parse a piece, or refuse it
    rules.on(Event.ANSWERED)             anything else that happened; gives actions too
    LIMITS_S[rules.phase]                how long this phase may last; then `rules.on(Event.TIMEOUT)`

The phases of a connection, and what moves it between them, stand in `TABLE`. What is not in the table changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final, NamedTuple, TypeAlias

from server.web.http.head import HEAD_END, check_head, is_hopeless

HEAD_S: Final = 10.0  # from the first byte of a request's head to its last
LINGER_S: Final = 2.0  # in which a client reads its final response, before the connection is cut
STALL_S: Final = 10.0  # without one byte taken by the client
_EDGE: Final = len(HEAD_END) - 1


class Phase(StrEnum):
    """What a connection is doing."""

    CONNECTING = auto()
    """Not admitted yet."""
    IDLE = auto()
    """Between two requests."""
    HEAD = auto()
    """A request has begun; its head is not complete."""
    BODY = auto()
    """The application has the request; the body is not complete."""
    ANSWERED_EARLY = auto()
    """The response has begun, and the rest of the body is read and thrown away by the application."""
    ANSWERING = auto()
    """The request is complete, the response is not."""
    DISCARDING = auto()
    """An upload was refused unparsed; the rest of its body is thrown away."""
    LINGERING = auto()
    """All is said, and the sending half closed; what still comes is thrown away until the client closes."""
    CLOSING = auto()
    """Closed as soon as what was written has been taken."""
    CLOSED = auto()


class Event(StrEnum):
    """What happens to a connection."""

    ADMITTED = auto()
    OVER_LIMIT = auto()
    FAR_OVER_LIMIT = auto()
    """Over the limit, and no place left to linger in."""
    BYTES = auto()
    """The first bytes of a request."""
    HEAD_COMPLETE = auto()
    BODY_END = auto()
    RESPONSE_BEGUN = auto()
    ANSWERED = auto()
    ANSWERED_LAST = auto()
    """The response said that the connection closes."""
    ANSWERED_CUT = auto()
    """As ANSWERED_LAST, with bytes behind the request that nobody will parse."""
    REJECTED = auto()
    """What came is no request that can be served."""
    REJECTED_EARLY = auto()
    """An upload was refused by its first bytes."""
    DISCARDED = auto()
    """The rest of that upload has come."""
    CLIENT_EOF = auto()
    """The client sends no more: it counts as gone."""
    TIMEOUT = auto()
    """The phase lasted too long."""
    STALLED = auto()
    """The client takes nothing of what is written."""
    SHUTDOWN = auto()
    """The server ends: no further requests."""
    LOST = auto()


class Do(StrEnum):
    """What to do that needs no words."""

    TELL_CLIENT_LEFT = auto()
    RESPOND = auto()
    """Write the final response with the code that came with the event."""
    LINGER = auto()
    """Close the sending half, read on."""
    CLOSE = auto()
    """Close once everything written has been taken."""
    ABORT = auto()
    """Close now."""


class Respond(NamedTuple):
    """Write the final response for a refusal: the problem document of `code`."""

    code: str


class Parse(NamedTuple):
    """Give this to the parser: a whole head, with what has come of its body; or a piece of a body."""

    data: bytes


class Write(NamedTuple):
    """Write this response as it is."""

    data: bytes


Action: TypeAlias = Do | Respond | Parse | Write


class Rejection(NamedTuple):
    """The whole response to an upload that is refused unparsed, and the bytes of its body that are still to come."""

    response: bytes
    rest: int


RejectEarly: TypeAlias = Callable[[bytes], Rejection | None]


@dataclass(frozen=True, slots=True)
class Step:
    """The phase that follows, and what to do on the way."""

    phase: Phase
    actions: tuple[Action, ...] = ()


_CLOSE: Final = Step(Phase.CLOSING, (Do.CLOSE,))
_LINGER: Final = Step(Phase.LINGERING, (Do.LINGER,))
_REJECT: Final = Step(Phase.LINGERING, (Do.RESPOND, Do.LINGER))
_ABORT: Final = Step(Phase.CLOSED, (Do.ABORT,))
_LOST: Final = Step(Phase.CLOSED)
_CLIENT_LEFT: Final = Step(Phase.CLOSING, (Do.TELL_CLIENT_LEFT, Do.CLOSE))
_ABORT_REQUEST: Final = Step(Phase.CLOSED, (Do.TELL_CLIENT_LEFT, Do.ABORT))
_LOST_REQUEST: Final = Step(Phase.CLOSED, (Do.TELL_CLIENT_LEFT,))


def _reject_with(code: str) -> Step:
    return Step(Phase.LINGERING, (Respond(code), Do.LINGER))


TABLE: Final[dict[Phase, dict[Event, Step]]] = {
    Phase.CONNECTING: {
        Event.ADMITTED: Step(Phase.IDLE),
        Event.OVER_LIMIT: _reject_with("too_many_connections"),
        Event.FAR_OVER_LIMIT: Step(Phase.CLOSING, (Respond("too_many_connections"), Do.CLOSE)),
    },
    Phase.IDLE: {
        Event.BYTES: Step(Phase.HEAD),
        Event.REJECTED_EARLY: Step(Phase.DISCARDING),
        Event.CLIENT_EOF: _CLOSE,
        Event.TIMEOUT: _CLOSE,
        Event.SHUTDOWN: _CLOSE,
        Event.STALLED: _ABORT,
        Event.LOST: _LOST,
    },
    Phase.HEAD: {
        Event.HEAD_COMPLETE: Step(Phase.BODY),
        Event.REJECTED: _REJECT,
        Event.CLIENT_EOF: _CLOSE,
        Event.TIMEOUT: _reject_with("head_timeout"),
        Event.SHUTDOWN: _reject_with("shutting_down"),
        Event.STALLED: _ABORT,
        Event.LOST: _LOST,
    },
    Phase.BODY: {
        Event.BODY_END: Step(Phase.ANSWERING),
        Event.RESPONSE_BEGUN: Step(Phase.ANSWERED_EARLY),
        Event.REJECTED: Step(Phase.LINGERING, (Do.TELL_CLIENT_LEFT, Do.RESPOND, Do.LINGER)),
        Event.CLIENT_EOF: _CLIENT_LEFT,
        Event.STALLED: _ABORT_REQUEST,
        Event.LOST: _LOST_REQUEST,
    },
    Phase.ANSWERED_EARLY: {
        Event.BODY_END: Step(Phase.ANSWERING),
        Event.ANSWERED: _LINGER,
        Event.ANSWERED_LAST: _LINGER,
        Event.ANSWERED_CUT: _LINGER,
        Event.REJECTED: Step(Phase.LINGERING, (Do.TELL_CLIENT_LEFT, Do.LINGER)),
        Event.CLIENT_EOF: _CLIENT_LEFT,
        Event.STALLED: _ABORT_REQUEST,
        Event.LOST: _LOST_REQUEST,
    },
    Phase.ANSWERING: {
        Event.ANSWERED: Step(Phase.IDLE),
        Event.ANSWERED_LAST: _CLOSE,
        Event.ANSWERED_CUT: _LINGER,
        Event.CLIENT_EOF: _CLIENT_LEFT,
        Event.STALLED: _ABORT_REQUEST,
        Event.LOST: _LOST_REQUEST,
    },
    Phase.DISCARDING: {
        Event.DISCARDED: Step(Phase.IDLE),
        Event.CLIENT_EOF: _CLOSE,
        Event.TIMEOUT: _ABORT,
        Event.SHUTDOWN: _LINGER,
        Event.STALLED: _ABORT,
        Event.LOST: _LOST,
    },
    Phase.LINGERING: {
        Event.CLIENT_EOF: _ABORT,
        Event.TIMEOUT: _ABORT,
        Event.STALLED: _ABORT,
        Event.LOST: _LOST,
    },
    Phase.CLOSING: {
        Event.STALLED: _ABORT,
        Event.LOST: _LOST,
    },
    Phase.CLOSED: {},
}

LIMITS_S: Final = {Phase.HEAD: HEAD_S, Phase.DISCARDING: HEAD_S, Phase.LINGERING: LINGER_S}
"""How long a phase may last. IDLE has the setting `--keep-alive`; BODY has limits of its own (server/web/body.py)."""

_DEAF: Final = frozenset({Phase.CONNECTING, Phase.LINGERING, Phase.CLOSING, Phase.CLOSED})
"""What comes in these phases is thrown away."""


class Rules:
    """One connection. Its state: the phase, the bytes that are not parsed yet, and how they are to be cut.

    `changes` counts changes of phase, so that a driver sees when to set its timer anew.
    """

    __slots__ = ("_body_left", "_discard", "_edge", "_last", "_pending", "_reject_early", "changes", "head", "phase")

    def __init__(self, reject_early: RejectEarly) -> None:
        """`reject_early` is asked about the first bytes of each request, before they are parsed."""
        self.phase = Phase.CONNECTING
        self.changes = 0
        self.head = b""
        """The present request's head, as far as it has come; for the id in a final response."""
        self._reject_early = reject_early
        self._pending = b""
        self._body_left: int | None = 0
        """Bytes of the present body that are not parsed; None where chunks tell its end."""
        self._edge = b""
        """The last bytes parsed of a chunked body."""
        self._discard = 0
        self._last = False

    @property
    def is_holding(self) -> bool:
        """Whether bytes wait for the answer to the request before them: there is no point in reading more."""
        return self.phase is Phase.ANSWERING and len(self._pending) > 1

    def on(self, event: Event, code: str = "") -> Sequence[Action]:
        """What to do about this event. `code`: of the problem, where the event is REJECTED."""
        if event is Event.SHUTDOWN:
            self._last = True
        step = TABLE[self.phase].get(event)
        if step is None:
            return ()
        self.phase = step.phase
        self.changes += 1
        if code:
            return tuple(Respond(code) if action is Do.RESPOND else action for action in step.actions)
        return step.actions

    def answered(self, keep_alive: bool) -> Sequence[Action]:
        """What to do once a response is complete. `keep_alive`: whether it left the connection open."""
        if keep_alive and not self._last:
            return self.on(Event.ANSWERED)
        return self.on(Event.ANSWERED_CUT if self._pending else Event.ANSWERED_LAST)

    def receive(self, data: bytes) -> None:
        """Take what came. Call `next` until it gives nothing."""
        self._pending = self._pending + data if self._pending else data

    def next(self) -> Sequence[Action]:
        """What to do about the bytes that have come; nothing until more come or happens."""
        while self._pending:
            phase = self.phase
            if phase is Phase.BODY or phase is Phase.ANSWERED_EARLY:
                return self._parse(0) if self._body_left != 0 else self.on(Event.REJECTED, "malformed_request")
            if phase in _DEAF:
                self._pending = b""
            elif phase is Phase.DISCARDING:
                self._throw_away()
            elif phase is Phase.HEAD:
                return self._read_head()
            elif not self._skip_empty_lines() or phase is Phase.ANSWERING:
                break
            elif rejection := self._reject_early(self._pending):
                return self._refuse_unparsed(rejection)
            else:
                self.on(Event.BYTES)
        return ()

    def _skip_empty_lines(self) -> bool:
        """Drop empty lines before a request (RFC 9112, section 2.2). Whether anything is left."""
        while self._pending.startswith(b"\r\n"):
            self._pending = self._pending[2:]
        return self._pending not in (b"", b"\r")

    def _refuse_unparsed(self, rejection: Rejection) -> Sequence[Action]:
        self._pending, self._discard = b"", rejection.rest
        self.on(Event.REJECTED_EARLY)
        if not rejection.rest:
            self.on(Event.DISCARDED)
        return (Write(rejection.response),)

    def _throw_away(self) -> None:
        count = min(self._discard, len(self._pending))
        self._pending, self._discard = self._pending[count:], self._discard - count
        if not self._discard:
            self.on(Event.DISCARDED)

    def _read_head(self) -> Sequence[Action]:
        """Parse a head once it is complete and well-formed; it may come in pieces."""
        end = self._pending.find(HEAD_END)
        if end < 0:
            self.head = self._pending
            code = is_hopeless(self._pending)
            return self.on(Event.REJECTED, code) if code else ()
        size = end + len(HEAD_END)
        self.head = self._pending[:size]
        head = check_head(self.head)
        if head.fault:
            return self.on(Event.REJECTED, head.fault)
        self._body_left, self._edge = head.body_bytes, b""
        return self._parse(size)

    def _parse(self, start: int) -> Sequence[Action]:
        """Parse no further than the present message may go. `start`: where its body goes on."""
        data = self._pending
        if self._body_left is None:
            stop = self._end_in_chunks(data, start)
        else:
            stop = min(len(data), start + self._body_left)
            self._body_left -= stop - start
        self._pending = data[stop:]
        return (Parse(data if stop == len(data) else data[:stop]),)

    def _end_in_chunks(self, data: bytes, start: int) -> int:
        """Where the chunked body may end: after the next empty line, if that has come. An empty line can also stand in
        a chunk; cutting there costs a call of the parser, and nothing else."""
        near = (self._edge + data[start : start + _EDGE]).find(HEAD_END)
        if near >= 0:
            stop = start + near + len(HEAD_END) - len(self._edge)
        else:
            end = data.find(HEAD_END, start)
            stop = end + len(HEAD_END) if end >= 0 else len(data)
        self._edge = (self._edge + data[max(start, stop - _EDGE) : stop])[-_EDGE:]
        return stop
