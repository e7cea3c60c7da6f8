"""The state machine of one connection: follows the rules, and cuts what comes into what may be parsed. Sans-io.

machine.receive(data)                   bytes came
while actions := machine.next(): ...    what to do with them: parse a piece, or refuse it
machine.on(Event.CLIENT_EOF)            anything else happened; gives actions too
LIMITS_S[machine.phase]                 how long this phase may last; then `machine.on(Event.TIMEOUT)`
"""

from collections.abc import Sequence
from typing import Final

from server.web.http.head import HEAD_END, check_head, is_hopeless
from server.web.http.rules import TABLE, Action, Do, Event, Phase, RejectEarly, Rejection, Respond, Write

_EDGE: Final = len(HEAD_END) - 1
_HEAD, _BODY, _ANSWERED_EARLY, _ANSWERING, _DISCARDING, _PACED, _CLOSED = (  # to look up a member costs a call
    Phase.HEAD, Phase.BODY, Phase.ANSWERED_EARLY, Phase.ANSWERING, Phase.DISCARDING, Phase.PACED, Phase.CLOSED,
)  # fmt: skip
_SHUTDOWN, _BYTES, _ANSWERED = Event.SHUTDOWN, Event.BYTES, Event.ANSWERED
_DEAF: Final = frozenset({Phase.CONNECTING, Phase.LINGERING, Phase.CLOSING, Phase.CLOSED})
"""What comes in these phases is thrown away."""


class Machine:
    """One connection. Its state: the phase, the bytes that are not parsed yet, and how they are to be cut.

    `changes` counts changes of phase, so that a driver sees when to set its timer anew.
    """

    __slots__ = (
        "_body_left",
        "_discard",
        "_edge",
        "_last",
        "_pending",
        "_reject_early",
        "_steps",
        "changes",
        "delay_s",
        "head",
        "late",
        "phase",
    )

    def __init__(self, reject_early: RejectEarly) -> None:
        """`reject_early` is asked about the first bytes of each request, before they are parsed."""
        self.phase = Phase.CONNECTING
        self._steps = TABLE[self.phase]
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
        self.late = b""
        """The response that PACED holds back."""
        self.delay_s = 0.0
        """For so long."""

    @property
    def has_bytes(self) -> bool:
        """Whether bytes have come that are not parsed yet."""
        return bool(self._pending)

    @property
    def is_holding(self) -> bool:
        """Whether bytes wait for the answer to the request before them: there is no point in reading more."""
        return (self.phase is _ANSWERING or (self.phase is _PACED and not self._discard)) and len(self._pending) > 1

    def on(self, event: Event, code: str = "") -> Sequence[Action]:
        """What to do about this event. `code`: of the problem, where the event is REJECTED."""
        if event is _SHUTDOWN:
            self._last = True
        step = self._steps.get(event)
        if step is None:
            return ()
        self.phase = phase = step.phase
        self._steps = TABLE[phase]
        self.changes += 1
        if phase is _CLOSED:
            self._reject_early = _nothing
        elif phase is _DISCARDING and not self._discard:
            self.on(Event.DISCARDED)
        if code:
            return tuple(Respond(code) if action is Do.RESPOND else action for action in step.actions)
        return step.actions

    def answered(self, keep_alive: bool) -> Sequence[Action]:
        """What to do once a response is complete. `keep_alive`: whether it left the connection open."""
        if keep_alive and not self._last:
            return self.on(_ANSWERED)
        return self.on(Event.ANSWERED_CUT if self._pending else Event.ANSWERED_LAST)

    def receive(self, data: bytes) -> None:
        """Take what came. Call `next` until it gives nothing."""
        self._pending = self._pending + data if self._pending else data

    def next(self) -> Sequence[Action]:
        """What to do about the bytes that have come; nothing until more come or happens."""
        while self._pending:
            phase = self.phase
            if phase is _BODY or phase is _ANSWERED_EARLY:
                return self._parse(0) if self._body_left != 0 else self.on(Event.REJECTED, "malformed_request")
            if phase in _DEAF:
                self._pending = b""
            elif phase is _HEAD:
                return self._read_head()
            elif phase is _DISCARDING:
                self._throw_away()
            elif phase is _PACED:
                self._throw_away()
                break
            elif not self._skip_empty_lines() or phase is _ANSWERING:
                break
            elif rejection := self._reject_early(self._pending):
                return self._refuse_unparsed(rejection)
            else:
                self.on(_BYTES)
        return ()

    def _skip_empty_lines(self) -> bool:
        """Drop empty lines before a request (RFC 9112, section 2.2). Whether anything is left."""
        while self._pending.startswith(b"\r\n"):
            self._pending = self._pending[2:]
        return self._pending not in (b"", b"\r")

    def _refuse_unparsed(self, rejection: Rejection) -> Sequence[Action]:
        self._pending, self._discard = b"", rejection.rest
        if rejection.delay_s:
            self.late, self.delay_s = rejection.response, rejection.delay_s
            return self.on(Event.REJECTED_LATE)
        self.on(Event.REJECTED_EARLY)
        return (Write(rejection.response),)

    def _throw_away(self) -> None:
        count = min(self._discard, len(self._pending))
        self._pending, self._discard = self._pending[count:], self._discard - count
        if not self._discard:
            self.on(Event.DISCARDED)  # nothing to PACED, which has an end of its own

    def _read_head(self) -> Sequence[Action]:
        """Parse a head once it is complete and well-formed; it may come in pieces."""
        end = self._pending.find(HEAD_END)
        if end < 0:
            self.head = self._pending
            code = is_hopeless(self._pending)
            return self.on(Event.REJECTED, code) if code else ()
        size = end + len(HEAD_END)
        self.head = self._pending[:size]
        fault, self._body_left = check_head(self.head)
        if fault:
            return self.on(Event.REJECTED, fault)
        self._edge = b""
        return self._parse(size)

    def _parse(self, start: int) -> Sequence[Action]:
        """Parse up to the end of the present message at most. `start`: where its body continues."""
        data = self._pending
        if self._body_left is None:
            stop = self._end_in_chunks(data, start)
        else:
            stop = min(len(data), start + self._body_left)
            self._body_left -= stop - start
        self._pending = data[stop:]
        return (data if stop == len(data) else data[:stop],)

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


def _nothing(_: bytes) -> None: ...
