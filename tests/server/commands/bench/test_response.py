"""Responses are read whole, however they are cut, and what is none is refused."""

import pytest

from server.commands.bench.response import BadResponse, Parser

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n3\r\nabc\r\n0\r\nT: r\r\n\r\n"
EMPTY_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n0\r\n\r\n"


def read(data, size):
    """What comes of `data` in pieces of `size`: the response, which only the last piece completes."""
    parser = Parser()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    *early, last = [parser.feed(piece) for piece in pieces]
    assert [None] * len(early) == early
    return last


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (PLAIN, 200, b"{}"),
        (CHUNKED, 503, b"{}abc"),
        (EMPTY_CHUNKED, 200, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN, 200, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 500 \r\ncontent-length:0\r\n\r\n", 500, b""),
    ],
)
def test_a_response_is_read_however_it_is_cut(data, status, body, size):
    """In one piece, in bytes, and between."""
    response = read(data, size)

    assert (status, body, False) == (response.status, response.body, response.closes)


def test_a_body_may_end_with_the_connection():
    """Without a length or chunks; then nothing may follow."""
    parser = Parser()

    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nab") is None
    assert parser.feed(b"c") is None
    response = parser.end()

    assert (b"abc", True) == (response.body, response.closes)


@pytest.mark.parametrize("cut", [1, 20, 45, len(PLAIN) - 1])
def test_a_response_cut_short_is_none(cut):
    """The connection ended in its midst."""
    parser = Parser()
    parser.feed(PLAIN[:cut])

    assert parser.end() is None


def test_a_chunked_response_cut_short_is_none():
    """Its length was promised by a last chunk."""
    parser = Parser()
    parser.feed(CHUNKED[:-4])

    assert parser.end() is None


@pytest.mark.parametrize(
    ("data", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: Foo, Close\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
def test_whether_the_connection_goes_on(data, closes):
    """By what the server says, or by its version."""
    assert closes == Parser().feed(data).closes


def test_one_after_the_other():
    """A parser serves a whole connection."""
    parser = Parser()

    bodies = [parser.feed(data).body for data in (PLAIN, CHUNKED, PLAIN)]

    assert [b"{}", b"{}abc", b"{}"] == bodies


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"SSH-2.0-x",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        PLAIN + b"H",
        PLAIN + PLAIN,
        CHUNKED + PLAIN,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_response_is_refused(data):
    """Instead of being counted."""
    with pytest.raises(BadResponse):
        Parser().feed(data)
