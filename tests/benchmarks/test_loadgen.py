"""The load generator counts what it is sent, and gives no rate where anything but a 200 came."""

import asyncio
import os

import pytest
import uvloop

from benchmarks import loadgen

OK = b"HTTP/1.1 200 \r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
REFUSED = b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n"


class Peer:
    """A server of `replies`, each a list of pieces to send one by one; the last is sent from then on."""

    def __init__(self, *replies):
        self._replies = list(replies)
        self.bodies = []

    async def answer(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                for piece in self._replies[0] if len(self._replies) == 1 else self._replies.pop(0):
                    writer.write(piece)
                    await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def outcome(peer, connections=2, seconds=0.05, patience_s=10.0, watch=None):
    """The result of a run against `peer`."""

    async def whole():
        server = await asyncio.start_server(peer.answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        requests = [loadgen.request("127.0.0.1", port, body) for body in (b"one", b"two")]
        run = loadgen.Run(requests, connections, seconds, watch or [os.getpid()])
        try:
            await loadgen.drive(run, "127.0.0.1", port, connections, patience_s)
            await asyncio.sleep(0)
        finally:
            server.close()
            await server.wait_closed()
        return run.result()

    return uvloop.run(whole())


def test_a_run_of_200s_has_figures():
    """As many answers as were counted, and every time above nothing."""
    result = outcome(Peer([OK]))

    assert {"200"} == result["outcomes"].keys()
    assert 0 < result["answers"] < result["outcomes"]["200"]
    assert result["wall_s"] >= 0.05
    assert 0 < result["p50_s"] <= result["p99_s"]
    assert result["client_cpu_s"] > 0


def test_the_pictures_go_out_in_turn():
    """All of them, and whole."""
    peer = Peer([OK])

    outcome(peer, connections=1)

    assert [b"one", b"two", b"one"] == peer.bodies[:3]


def test_a_window_has_some_answers_of_each_connection():
    """However slow the model is for the seconds given."""
    assert outcome(Peer([OK]), connections=3, seconds=0.0)["answers"] >= 3 * 8


def test_an_answer_may_come_in_pieces():
    """Head and body are two writes in many servers."""
    assert {"200"} == outcome(Peer([OK[:5], OK[5:40], OK[40:]]))["outcomes"].keys()


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ([REFUSED], "503"),
        ([b"HTTP/1.1 200 \r\n\r\n"], "a response without Content-Length"),
        ([OK + OK], "more than one response"),
    ],
)
def test_whatever_is_no_200_ends_the_run_and_is_named(reply, named):
    """There is no rate to be misread."""
    result = outcome(Peer([OK], [OK], reply))

    assert named in result["outcomes"]
    assert "answers" not in result


def test_a_lost_connection_is_named():
    """A server that hangs up has not answered."""

    class Rude(Peer):
        async def answer(self, reader, writer):
            await reader.read(10)
            writer.close()

    assert "connection lost" in outcome(Rude())["outcomes"]


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever():
    """A benchmark that hangs teaches nothing."""
    assert {"no answer": 2} == outcome(Peer([b"HTTP/1.1 200 \r\n"]), patience_s=0.2)["outcomes"]


def test_a_server_that_is_not_there_is_named():
    """Instead of a traceback."""

    async def whole():
        run = loadgen.Run([b"x"], 1, 0.1, [])
        await loadgen.drive(run, "127.0.0.1", 1, 1, 5.0)
        return run.result()

    (name,) = uvloop.run(whole())["outcomes"]
    assert name.startswith("no connection")


def test_a_process_that_ended_is_named():
    """Its CPU would be missing from the figure."""
    result = outcome(Peer([OK]), watch=[2**22 + 1])

    assert "a process of the server ended" in result["outcomes"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 \r\ncontent-le", None),
        (OK, loadgen.Reply(b"200", len(OK))),
        (REFUSED, loadgen.Reply(b"503", len(REFUSED))),
    ],
)
def test_the_head_says_status_and_size(data, expected):
    """None while it is not whole."""
    assert expected == loadgen.parse(data)
