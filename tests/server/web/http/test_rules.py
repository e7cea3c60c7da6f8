"""The rules of a connection, row by row: no socket, no clock, no HTTP library."""

import pytest

from server.web.http.head import HEAD_BYTES
from server.web.http.machine import Machine
from server.web.http.rules import LIMITS_S, TABLE, Do, Event, Phase, Rejection, Respond, Write

GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


class Driven:
    """Rules, a parser that takes what it is given for what it is, and all that was to be done, in order."""

    def __init__(self, reject_early=lambda _: None):
        self.machine = Machine(reject_early)
        self.done = []
        self.on(Event.ADMITTED)

    def on(self, event, code=""):
        self.done += self.machine.on(event, code)
        return self

    def receive(self, data, *then):
        """Bytes come. `then`: what the parser finds in each piece that it is given."""
        self.machine.receive(data)
        found = iter(then)
        while actions := self.machine.next():
            self.done += actions
            for event in next(found, ()) if isinstance(actions[0], bytes) else ():
                self.on(event)
        return self

    def answered(self, keep_alive=True):
        self.done += self.machine.answered(keep_alive)
        return self

    @property
    def parsed(self):
        return [action for action in self.done if isinstance(action, bytes)]


WHOLE = (Event.HEAD_COMPLETE, Event.BODY_END)
REACHED = {  # what leads to each phase
    Phase.CONNECTING: None,
    Phase.IDLE: lambda: Driven(),
    Phase.HEAD: lambda: Driven().receive(GET[:9]),
    Phase.BODY: lambda: Driven().receive(POST, WHOLE[:1]),
    Phase.ANSWERED_EARLY: lambda: Driven().receive(POST, WHOLE[:1]).on(Event.RESPONSE_BEGUN),
    Phase.ANSWERING: lambda: Driven().receive(GET, WHOLE),
    Phase.DISCARDING: lambda: Driven(lambda _: Rejection(b"no", 10)).receive(POST),
    Phase.PACED: lambda: Driven(lambda _: Rejection(b"no", 10, 1.0, delay_s=0.5)).receive(POST),
    Phase.LINGERING: lambda: Driven().receive(b"\0"),
    Phase.CLOSING: lambda: Driven().on(Event.TIMEOUT),
    Phase.CLOSED: lambda: Driven().on(Event.LOST),
}

ROWS = [
    # phase, event, phase that follows, what is to be done
    (Phase.IDLE, Event.TIMEOUT, Phase.CLOSING, [Do.CLOSE]),
    (Phase.IDLE, Event.CLIENT_EOF, Phase.CLOSING, [Do.CLOSE]),
    (Phase.IDLE, Event.SHUTDOWN, Phase.CLOSING, [Do.CLOSE]),
    (Phase.HEAD, Event.TIMEOUT, Phase.LINGERING, [Respond("head_timeout"), Do.LINGER]),
    (Phase.HEAD, Event.SHUTDOWN, Phase.LINGERING, [Respond("shutting_down"), Do.LINGER]),
    (Phase.HEAD, Event.CLIENT_EOF, Phase.CLOSING, [Do.CLOSE]),
    (Phase.BODY, Event.RESPONSE_BEGUN, Phase.ANSWERED_EARLY, []),
    (Phase.BODY, Event.CLIENT_EOF, Phase.CLOSING, [Do.TELL_CLIENT_LEFT, Do.CLOSE]),
    (Phase.BODY, Event.LOST, Phase.CLOSED, [Do.TELL_CLIENT_LEFT]),
    (Phase.BODY, Event.STALLED, Phase.CLOSED, [Do.TELL_CLIENT_LEFT, Do.ABORT]),
    (Phase.BODY, Event.SHUTDOWN, Phase.BODY, []),
    (Phase.ANSWERED_EARLY, Event.BODY_END, Phase.ANSWERING, []),
    (Phase.ANSWERED_EARLY, Event.ANSWERED, Phase.LINGERING, [Do.LINGER]),
    (Phase.ANSWERED_EARLY, Event.CLIENT_EOF, Phase.CLOSING, [Do.TELL_CLIENT_LEFT, Do.CLOSE]),
    (Phase.ANSWERING, Event.ANSWERED, Phase.IDLE, []),
    (Phase.ANSWERING, Event.ANSWERED_LAST, Phase.CLOSING, [Do.CLOSE]),
    (Phase.ANSWERING, Event.ANSWERED_CUT, Phase.LINGERING, [Do.LINGER]),
    (Phase.ANSWERING, Event.CLIENT_EOF, Phase.CLOSING, [Do.TELL_CLIENT_LEFT, Do.CLOSE]),
    (Phase.ANSWERING, Event.LOST, Phase.CLOSED, [Do.TELL_CLIENT_LEFT]),
    (Phase.ANSWERING, Event.TIMEOUT, Phase.ANSWERING, []),
    (Phase.DISCARDING, Event.TIMEOUT, Phase.CLOSED, [Do.ABORT]),
    (Phase.DISCARDING, Event.SHUTDOWN, Phase.LINGERING, [Do.LINGER]),
    (Phase.PACED, Event.TIMEOUT, Phase.DISCARDING, [Do.RESPOND_LATE]),
    (Phase.PACED, Event.SHUTDOWN, Phase.LINGERING, [Do.RESPOND_LATE, Do.LINGER]),
    (Phase.PACED, Event.CLIENT_EOF, Phase.CLOSING, [Do.CLOSE]),
    (Phase.LINGERING, Event.TIMEOUT, Phase.CLOSED, [Do.ABORT]),
    (Phase.LINGERING, Event.CLIENT_EOF, Phase.CLOSED, [Do.ABORT]),
    (Phase.LINGERING, Event.ANSWERED, Phase.LINGERING, []),
    (Phase.CLOSING, Event.STALLED, Phase.CLOSED, [Do.ABORT]),
    (Phase.CLOSED, Event.LOST, Phase.CLOSED, []),
]


@pytest.mark.parametrize(("phase", "event", "then", "actions"), ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_event_moves_the_connection(phase, event, then, actions):
    """From this phase to that, with this to be done."""
    driven = REACHED[phase]()
    assert phase is driven.machine.phase
    driven.done.clear()

    driven.on(event)

    assert (then, actions) == (driven.machine.phase, driven.done)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.CONNECTING, Phase.CLOSED)])
def test_lost_and_stalled_connections_end_in_every_phase(phase):
    """Nothing can be waited for that does not come."""
    assert Phase.CLOSED is REACHED[phase]().on(Event.STALLED).machine.phase
    assert Phase.CLOSED is REACHED[phase]().on(Event.LOST).machine.phase


@pytest.mark.parametrize("phase", [phase for phase, steps in TABLE.items() if Event.TIMEOUT in steps])
def test_phase_that_can_time_out_has_a_limit(phase):
    """A row for a timer that is never set would hold for ever."""
    assert phase in LIMITS_S or phase in (Phase.IDLE, Phase.PACED)


def test_connection_over_the_limit_is_told_and_lingers():
    """So that a client that is sending already sees why."""
    machine = Machine(lambda _: None)

    assert (Respond("too_many_connections"), Do.LINGER) == machine.on(Event.OVER_LIMIT)
    assert Phase.LINGERING is machine.phase


def test_connection_far_over_the_limit_is_told_and_closed():
    """There are only so many places to linger in."""
    assert (Respond("too_many_connections"), Do.CLOSE) == Machine(lambda _: None).on(Event.FAR_OVER_LIMIT)


def test_nothing_is_parsed_of_a_connection_that_was_not_admitted():
    """Whatever it sends."""
    machine = Machine(lambda _: None)
    machine.on(Event.OVER_LIMIT)
    machine.receive(GET)

    assert () == machine.next()


def test_request_in_one_piece_is_parsed_in_one_piece():
    """Head and body together: no call of a parser more than needed, no copy."""
    whole = POST + b"jpeg"

    (piece,) = Driven().receive(whole, WHOLE).parsed

    assert piece is whole


@pytest.mark.parametrize("cut", range(1, len(POST)))
def test_head_in_two_pieces_is_parsed_once_it_is_complete(cut):
    """A parser never sees half a head."""
    driven = Driven().receive(POST[:cut])
    assert [] == driven.parsed
    assert Phase.HEAD is driven.machine.phase

    assert [POST] == driven.receive(POST[cut:], WHOLE[:1]).parsed


def test_request_behind_another_waits_for_its_answer():
    """The parser gets no byte of it before."""
    driven = Driven().receive(POST + b"jpeg" + GET, WHOLE)
    assert [POST + b"jpeg"] == driven.parsed
    assert driven.machine.is_holding

    driven.answered().receive(b"", WHOLE)

    assert [POST + b"jpeg", GET] == driven.parsed
    assert not driven.machine.is_holding


@pytest.mark.parametrize("cut", range(len(CHUNKED) + 1, len(CHUNKED) + 20))
def test_request_behind_chunks_waits_however_the_bytes_are_cut(cut):
    """The end of a chunked body is seen across pieces."""
    body = b"2\r\n\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    raw = CHUNKED + body + GET
    driven, parser = Driven(), []
    for piece in (raw[:cut], raw[cut:]):
        driven.machine.receive(piece)
        while actions := driven.machine.next():
            parser.append(actions[0])
            if len(parser) == 1:
                driven.on(Event.HEAD_COMPLETE)
            if b"".join(parser).endswith(b"0\r\n\r\n"):
                driven.on(Event.BODY_END)

    assert CHUNKED + body == b"".join(parser)
    assert driven.machine.is_holding


def test_empty_lines_between_requests_are_dropped():
    """Before a request, and behind one that is being answered (RFC 9112, section 2.2)."""
    driven = Driven().receive(b"\r\n\r").receive(b"\n\r\n" + POST + b"jpeg\r\n", WHOLE)
    assert not driven.machine.is_holding

    driven.answered().receive(b"\r\n" + GET, WHOLE)

    assert [POST + b"jpeg", GET] == driven.parsed


def test_empty_lines_do_not_begin_a_request():
    """The connection is as idle as before."""
    assert Phase.IDLE is Driven().receive(b"\r\n" * 1000).machine.phase


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b"GET /" + b"a" * HEAD_BYTES, "headers_too_large", id="too long, unfinished"),
        pytest.param(GET[:-2] + b"a:" + b"a" * HEAD_BYTES + b"\r\n\r\n", "headers_too_large", id="too long, complete"),
        pytest.param(b"\x16\x03\x01", "malformed_request", id="no HTTP from its first byte"),
        pytest.param(b"GET / HTTP/1.1\nHost: t\n\n", "malformed_request", id="bare LF"),
        pytest.param(GET.replace(b"1.1", b"1.2"), "malformed_request", id="version"),
        pytest.param(GET.replace(b"GET", b"BREW"), "not_implemented", id="method"),
    ],
)
def test_head_that_cannot_be_served_is_refused_unparsed(raw, code):
    """With its code; the client may still be sending, so the connection lingers."""
    driven = Driven().receive(raw)

    assert [Respond(code), Do.LINGER] == driven.done
    assert Phase.LINGERING is driven.machine.phase


def test_fault_in_a_body_tells_the_application_first():
    """Then the client, if it has been told nothing else."""
    driven = REACHED[Phase.BODY]()
    driven.done.clear()

    driven.on(Event.REJECTED, "malformed_request")

    assert [Do.TELL_CLIENT_LEFT, Respond("malformed_request"), Do.LINGER] == driven.done


def test_fault_behind_an_answer_is_not_told():
    """The client has its answer; a second one would be taken for that to its next request."""
    driven = REACHED[Phase.ANSWERED_EARLY]()
    driven.done.clear()

    driven.on(Event.REJECTED, "malformed_request")

    assert [Do.TELL_CLIENT_LEFT, Do.LINGER] == driven.done


def test_body_past_its_length_is_refused():
    """Parser and rules disagree about its end: nobody guesses."""
    driven = Driven().receive(POST + b"jpeg", WHOLE[:1]).receive(b"more")

    assert Respond("malformed_request") in driven.done


@pytest.mark.parametrize(("rest", "phase"), [(0, Phase.IDLE), (7, Phase.DISCARDING)])
def test_upload_refused_by_its_first_bytes_is_answered_at_once(rest, phase):
    """Nothing of it is parsed; the rest of its body is waited for."""
    driven = Driven(lambda data: Rejection(b"503", rest)).receive(POST)

    assert [Write(b"503")] == driven.done
    assert phase is driven.machine.phase


def test_rest_of_a_refused_body_is_thrown_away_and_the_next_request_is_read():
    """Byte by byte, to its end and no further."""
    refusals = iter([Rejection(b"503", 7), None])
    driven = Driven(lambda data: next(refusals)).receive(POST).receive(b"1234").receive(b"567" + GET, WHOLE)

    assert [GET] == driven.parsed
    assert Phase.ANSWERING is driven.machine.phase


def test_only_first_bytes_are_looked_at_by_early_rejection():
    """What it has let through once, it is not asked about again."""
    asked = []
    Driven(asked.append).receive(POST[:20]).receive(POST[20:], WHOLE[:1]).receive(b"jpeg")

    assert [POST[:20]] == asked


def test_answer_after_shutdown_is_the_last():
    """What is under way is answered, what is behind it is not."""
    driven = REACHED[Phase.ANSWERING]().on(Event.SHUTDOWN).answered()

    assert Phase.CLOSING is driven.machine.phase


def test_bytes_behind_a_last_answer_make_the_connection_linger():
    """Closed with bytes unread, it would be reset, and the answer lost."""
    driven = Driven().receive(GET + GET, WHOLE).answered(keep_alive=False)

    assert Do.LINGER is driven.done[-1]


@pytest.mark.parametrize("phase", [Phase.LINGERING, Phase.CLOSING, Phase.CLOSED])
def test_nothing_is_parsed_after_the_last_word(phase):
    """Whatever comes is thrown away."""
    driven = REACHED[phase]()
    driven.done.clear()

    driven.receive(GET)

    assert [] == driven.done
    assert not driven.machine.is_holding


def test_refusal_that_is_told_later_is_held_back_with_what_comes_behind_it():
    """The rest of the body is thrown away meanwhile; the next request waits for the answer."""
    refusals = iter([Rejection(b"503", 7, 1.0, delay_s=0.5), None])
    driven = Driven(lambda data: next(refusals)).receive(POST).receive(b"1234567" + GET, WHOLE)
    assert ([], Phase.PACED, True) == (driven.done, driven.machine.phase, driven.machine.is_holding)
    assert (b"503", 0.5) == (driven.machine.late, driven.machine.delay_s)

    driven.on(Event.TIMEOUT).receive(b"", WHOLE)

    assert [Do.RESPOND_LATE, GET] == driven.done


def test_body_that_outlasts_its_refusal_is_thrown_away_to_its_end():
    """However late that was told."""
    driven = Driven(lambda _: Rejection(b"503", 7, 1.0, delay_s=0.5)).receive(POST).receive(b"123").on(Event.TIMEOUT)
    assert Phase.DISCARDING is driven.machine.phase

    assert Phase.IDLE is driven.receive(b"4567").machine.phase
