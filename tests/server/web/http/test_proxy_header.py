"""The header of the PROXY protocol, byte by byte."""

import socket

import pytest

from server.web.http.proxy_header import ProxyHeader, State, read_proxy_header

V2 = b"\r\n\r\n\0\r\nQUIT\n"
FOUR = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + b"\x10\x00\x00\x50"
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + b"\x10\x00\x00\x50"


def v2(command, family, body):
    return V2 + bytes([command, family]) + len(body).to_bytes(2, "big") + body


GOOD = [
    pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n", "192.0.2.7", id="1, IPv4"),
    pytest.param(b"PROXY TCP6 2001:db8::7 ::1 4096 80\r\n", "2001:db8::7", id="1, IPv6"),
    pytest.param(b"PROXY UNKNOWN\r\n", "", id="1, unknown"),
    pytest.param(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", id="1, unknown with addresses"),
    pytest.param(v2(0x21, 0x11, FOUR), "192.0.2.7", id="2, IPv4"),
    pytest.param(v2(0x21, 0x11, FOUR + b"\x04\x00\x03abc"), "192.0.2.7", id="2, with an extension"),
    pytest.param(v2(0x21, 0x21, SIX), "2001:db8::7", id="2, IPv6"),
    pytest.param(v2(0x20, 0x00, b""), "", id="2, local"),
    pytest.param(v2(0x20, 0x11, FOUR), "", id="2, local with addresses"),
    pytest.param(v2(0x21, 0x31, bytes(216)), "", id="2, a Unix socket"),
]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_address_is_read_and_what_follows_is_left(header, address):
    """The request may come in the same read."""
    assert ProxyHeader(State.WHOLE, len(header), address) == read_proxy_header(header + b"POST /v1/images HTTP/1.1")


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_part_of_a_header_is_not_enough(header, address):
    """Wherever a read ends."""
    assert {State.PARTIAL} == {read_proxy_header(header[:size]).state for size in range(len(header))}


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        b"PROXY TCP4 nonsense 192.0.2.1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n",
        b"PROXY \xff\r\n",
        b"PROXY " + b"1" * 107,
        v2(0x31, 0x11, FOUR),
        v2(0x22, 0x11, FOUR),
        v2(0x21, 0x11, FOUR[:8]),
        v2(0x21, 0x21, FOUR),
        V2 + b"\x21\x11\xff\xff",
    ],
)
def test_anything_else_is_wrong(data):
    """The connection is closed: who spoke for whom would be a guess."""
    assert State.WRONG is read_proxy_header(data).state
