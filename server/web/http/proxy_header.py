"""The header of the PROXY protocol, versions 1 and 2: which client a load balancer forwards. Sans-io.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. The header is the first thing on a connection.
"""

from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V1: Final = b"PROXY "
_V1_MOST: Final = 107
_V2_FIXED: Final = 16
_V2_MOST: Final = 4096  # beyond addresses come extensions, which are skipped
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class State(Enum):
    """What the bytes so far are."""

    PARTIAL = auto()
    WHOLE = auto()
    WRONG = auto()
    """No such header: the connection must be closed (section 2.1 of the specification)."""


class ProxyHeader(NamedTuple):
    """`size`: bytes of the header. `address`: the client's; "" where the load balancer speaks for itself, or says
    that it does not know."""

    state: State
    size: int = 0
    address: str = ""


_PARTIAL, _WRONG = ProxyHeader(State.PARTIAL), ProxyHeader(State.WRONG)


def read_proxy_header(data: bytes) -> ProxyHeader:
    """The header that `data` begins with."""
    if data.startswith(_V1[: len(data)]):
        return _version_1(data)
    if data.startswith(_SIGNATURE[: len(data)]):
        return _version_2(data)
    return _WRONG


def _version_1(data: bytes) -> ProxyHeader:
    end = data.find(b"\r\n", 0, _V1_MOST)
    if end < 0:
        return _PARTIAL if len(data) < _V1_MOST else _WRONG
    match data[:end].split(b" "):
        case [_, b"UNKNOWN", *_]:
            return ProxyHeader(State.WHOLE, end + 2)
        case [_, b"TCP4" | b"TCP6" as family, source, _, _, _]:
            try:
                address = ip_address(source.decode("ascii"))
            except ValueError:
                return _WRONG
            if address.version == (4 if family == b"TCP4" else 6):
                return ProxyHeader(State.WHOLE, end + 2, str(address))
    return _WRONG


def _version_2(data: bytes) -> ProxyHeader:
    if len(data) < _V2_FIXED:
        return _PARTIAL
    command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    size = _V2_FIXED + length
    if command not in (_LOCAL, _PROXY) or size > _V2_MOST:
        return _WRONG
    if len(data) < size:
        return _PARTIAL
    if command == _PROXY and family == _TCP4 and length >= 12:
        return ProxyHeader(State.WHOLE, size, str(IPv4Address(data[16:20])))
    if command == _PROXY and family == _TCP6 and length >= 36:
        return ProxyHeader(State.WHOLE, size, str(IPv6Address(data[16:32])))
    if command == _PROXY and family in (_TCP4, _TCP6):
        return _WRONG  # too short for its addresses
    return ProxyHeader(State.WHOLE, size)
