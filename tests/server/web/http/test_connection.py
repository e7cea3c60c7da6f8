"""What a connection does to its transport."""

import asyncio

import pytest

from batcher.testing import VirtualLoop
from server.web.client import TrustedProxies
from server.web.http.connection import Connection
from server.web.http.connections import Connections
from server.web.http.pacing import Pacing
from server.web.http.rules import HEAD_S, LINGER_S, STALL_S, Event, Phase, Rejection
from server.web.http.service import Service

GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
KEEP_ALIVE_S = 75.0


class Transport:
    """A transport whose client takes only what `take` says."""

    def __init__(self):
        self.done = []
        self.unwritten = 0

    def write(self, data):
        self.done.append(data)

    def get_write_buffer_size(self):
        return self.unwritten

    def get_extra_info(self, name):
        return ("127.0.0.1", 1) if name == "peername" else None

    def can_write_eof(self):
        return True

    def __getattr__(self, name):
        return lambda: self.done.append(name)


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


class Client:
    """A connection, its transport, and whether its handler was told that the client left."""

    def __init__(self, loop, limit=1, reject_early=lambda host, data: None, has_proxy_header=lambda peer: False):
        self.connections = Connections(limit)
        self.delays = []
        self.room = 0
        pacing = Pacing(TrustedProxies(""), lambda: self.room, self.delays.append, loop, loop.time)
        self.service = Service(
            None, reject_early, lambda code, head: code.encode(), self.connections, pacing, KEEP_ALIVE_S,
            has_proxy_header,
        )  # fmt: skip
        self.transport = Transport()
        self.left = []
        self.resumed = []
        self.connection = Connection(self.service, self.transport, loop, self)
        self.loop = loop
        self.connection.open()

    def client_left(self):
        self.left.append(True)

    def resume(self):
        self.resumed.append(True)

    def receive(self, data, *found):
        self.connection.received(data)
        while self.connection.next_piece():
            for event in found:
                self.connection.on(event)

    def after(self, seconds):
        """What was done by then."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        return self.transport.done


def served(loop, **more):
    client = Client(loop, **more)
    client.receive(GET, Event.HEAD_COMPLETE, Event.BODY_END)
    return client


def test_head_of_a_response_goes_out_with_its_body(loop):
    """One write, one packet, one wake-up of the client."""
    client = served(loop)
    client.connection.write(HEAD)
    assert [] == client.transport.done

    client.connection.write(b"jpeg")

    assert [HEAD + b"jpeg"] == client.transport.done


def test_head_without_a_body_goes_out_when_the_response_is_complete(loop):
    """The answer to a HEAD request."""
    client = served(loop)
    client.connection.write(HEAD)

    client.connection.answered(keep_alive=True)

    assert [HEAD] == client.transport.done


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
)
def test_head_that_is_waited_for_goes_out_at_once(loop, head):
    """An interim answer, and that of a stream whose first part may be a while."""
    client = served(loop)

    client.connection.write(head)

    assert [head] == client.transport.done


def test_nothing_is_written_after_the_final_response(loop):
    """A handler that has not heard of it yet writes into the void."""
    client = served(loop)
    client.connection.answered(keep_alive=False)

    client.connection.write(HEAD)
    client.connection.write(b"jpeg")

    assert ["close"] == client.transport.done


def test_idle_connection_is_closed_in_time(loop):
    """After the keep-alive time, counted from its last answer."""
    client = Client(loop)
    client.after(KEEP_ALIVE_S - 1)
    client.receive(GET, Event.HEAD_COMPLETE, Event.BODY_END)
    client.connection.answered(keep_alive=True)

    assert [] == client.after(KEEP_ALIVE_S - 1)
    assert ["close"] == client.after(2)


def test_late_head_is_refused_counted_and_given_up(loop):
    """The clock starts with its first byte, and no further byte sets it back."""
    client = Client(loop)
    client.receive(GET[:5])
    client.after(HEAD_S - 1)
    client.receive(GET[5:9])
    assert [] == client.transport.done

    assert [b"head_timeout", "write_eof", "resume_reading"] == client.after(1.5)
    assert "abort" == client.after(LINGER_S)[-1]
    assert 1 == client.connections.slow_heads


def test_client_that_takes_nothing_is_left(loop):
    """And whoever works for it is told."""
    client = served(loop)
    client.transport.unwritten = 100_000
    client.connection.writing_paused()

    assert [] == client.after(STALL_S - 1)
    assert ["abort"] == client.after(2)
    assert [True] == client.left


def test_client_that_takes_little_is_waited_for(loop):
    """As long as it takes anything at all."""
    client = served(loop)
    client.transport.unwritten = 100_000
    client.connection.writing_paused()
    for _ in range(10):
        client.transport.unwritten -= 1
        assert [] == client.after(STALL_S)


def test_closed_connection_waits_for_the_client_to_take_what_was_written(loop):
    """But not for ever."""
    client = served(loop)
    client.transport.unwritten = 100
    client.connection.answered(keep_alive=False)

    assert ["close"] == client.after(STALL_S - 1)
    assert ["close", "abort"] == client.after(2)


def test_lingering_begins_when_the_final_response_has_been_taken(loop):
    """A slow client gets all of it."""
    client = Client(loop)
    client.transport.unwritten = 100
    client.receive(b"\0")
    client.after(LINGER_S * 2)
    assert "abort" not in client.transport.done

    client.transport.unwritten = 0

    assert "abort" == client.after(LINGER_S * 2)[-1]


def test_refusal_of_unparsed_bytes_is_written_as_it_is(loop):
    """By itself, in one write."""
    client = Client(loop, reject_early=lambda host, data: Rejection(b"503", 0))

    client.receive(GET)

    assert [b"503"] == client.transport.done


def test_connections_are_counted_from_admission_to_loss(loop):
    """Those over the limit are counted apart."""
    client = Client(loop)
    client.connection.lost()
    assert (0, 0) == (client.connections.open, client.connections.rejected)

    client = Client(loop, limit=1)
    assert Event.OVER_LIMIT is client.connections.admit(object())
    assert (1, 1) == (client.connections.open, client.connections.rejected)


def test_end_closes_what_is_idle_and_waits_for_the_rest(loop):
    """And cuts what does not end in time."""
    idle, busy = Client(loop, limit=2), None
    busy = Connection(idle.service, Transport(), loop, idle)
    busy.open()
    busy.received(GET)
    while busy.next_piece():
        busy.head_complete()
        busy.body_end()
    loop.call_later(5, idle.connection.lost)
    loop.call_later(20, busy.lost)

    loop.run_until_complete(idle.connections.end(10))

    assert (["close"], 10) == (idle.transport.done, loop.time())
    assert ["abort"] == busy._transport.done


def test_refusal_to_a_client_that_did_not_wait_is_written_late(loop):
    """Its first one is at once; what comes behind the second is looked at when that has been written."""
    client = Client(loop, reject_early=lambda host, data: Rejection(b"503", 0, retry_after_s=60.0))
    for _ in range(100):
        client.receive(GET)
        client.after(0)
    told = client.transport.done.count(b"503")

    assert told < 99
    assert 0 < max(client.delays) < 1
    assert told + 1 == client.after(1).count(b"503")
    assert client.resumed


def test_end_tells_what_was_held_back(loop):
    """Nobody waits for a server that ends."""
    client = Client(loop, reject_early=lambda host, data: Rejection(b"503", 0, retry_after_s=60.0))
    while client.connection.machine.phase is not Phase.PACED:
        client.receive(GET)

    client.connection.shut_down()

    assert [b"503", "write_eof", "resume_reading"] == client.transport.done[-3:]


def test_refusal_is_told_as_soon_as_there_is_room(loop):
    """Its client asks again, and is admitted."""
    client = Client(loop, reject_early=lambda host, data: Rejection(b"503", 0, retry_after_s=60.0))
    while client.connection.machine.phase is not Phase.PACED:
        client.receive(GET)
    told = client.transport.done.count(b"503")
    client.room = 1

    assert told + 1 == client.after(0.021).count(b"503")
    assert Phase.IDLE is client.connection.machine.phase


# ---- The PROXY protocol ----

PROXIED = b"PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n"


def from_load_balancer(loop):
    """A connection that begins with a header, and the peers that its requests came from."""
    peers = []
    client = Client(
        loop, reject_early=lambda peer, data: peers.append((peer, data)), has_proxy_header=lambda peer: True
    )
    return client, peers


@pytest.mark.parametrize("cut", [1, 20, len(PROXIED), len(PROXIED) + 5])
def test_client_is_the_one_that_the_proxy_header_names(loop, cut):
    """Wherever reads end; what follows is the first request."""
    client, peers = from_load_balancer(loop)
    whole = PROXIED + b"GET / HTTP/1.1\r\nhost: t\r\n\r\n"

    client.receive(whole[:cut])
    client.receive(whole[cut:])

    assert {"192.0.2.7"} == {peer for peer, _ in peers}
    assert "192.0.2.7" == client.connection.presence.peer


def test_connection_without_its_proxy_header_is_cut(loop):
    """Nothing is answered: whoever speaks directly, where a load balancer should, is no client."""
    client, peers = from_load_balancer(loop)

    client.receive(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n")

    assert ([], Phase.CLOSED) == (peers, client.connection.machine.phase)
