"""The rules of one client's connection, as a table. Sans-io: no socket, no clock, no HTTP library.

Two rules decide everything else:

1. One request at a time. What comes behind a request is kept unparsed until that request has been answered.
2. Each phase has at most one time limit, and it starts when the phase does.

The phases of a connection, and what moves it between them, stand in `TABLE`. What is not in the table changes nothing.
`machine.py` follows it for one connection, `connection.py` carries out its actions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final, NamedTuple, TypeAlias

HEAD_S: Final = 10.0  # from the first byte of a request's head to its last
LINGER_S: Final = 2.0  # in which a client reads its final response, before the connection is cut
STALL_S: Final = 10.0  # without one byte taken by the client


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
    PACED = auto()
    """An upload was refused unparsed, and its client will be told later: it did not wait for as long as it was told."""
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
    """As ANSWERED_LAST, with bytes behind the request that will not be parsed."""
    REJECTED = auto()
    """What came is no request that can be served."""
    REJECTED_EARLY = auto()
    """An upload was refused by its first bytes."""
    REJECTED_LATE = auto()
    """As REJECTED_EARLY, to be told later."""
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
    RESPOND_LATE = auto()
    """Write the response that was held back."""
    LINGER = auto()
    """Close the sending half, read on."""
    CLOSE = auto()
    """Close once everything written has been taken."""
    ABORT = auto()
    """Close now."""


class Respond(NamedTuple):
    """Write the final response for a refusal: the problem document of `code`."""

    code: str


class Write(NamedTuple):
    """Write this response as it is."""

    data: bytes


Action: TypeAlias = Do | Respond | Write | bytes
"""Bytes are for the parser: a whole head with what has come of its body, or a piece of a body."""


class Rejection(NamedTuple):
    """The whole response to an upload that is refused unparsed, and the bytes of its body that are still to come."""

    response: bytes
    rest: int
    retry_after_s: float = 0.0
    """For so long the client is asked to wait."""
    client: str = ""
    """Its address; empty where a trusted proxy names none."""
    delay_s: float = 0.0
    """So much later the response is written."""


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
        Event.REJECTED_LATE: Step(Phase.PACED),
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
    Phase.PACED: {
        Event.TIMEOUT: Step(Phase.DISCARDING, (Do.RESPOND_LATE,)),
        Event.CLIENT_EOF: _CLOSE,
        Event.SHUTDOWN: Step(Phase.LINGERING, (Do.RESPOND_LATE, Do.LINGER)),
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
"""How long a phase may last. IDLE has the setting `--keep-alive`, PACED a time from `pacing.py`, BODY limits of its own
in `server/web/body.py`."""
