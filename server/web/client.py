"""Which client a request comes from, where proxies stand between: the last hop that is not one of ours. Pure.

A proxy appends the address it was called from. What stands before that may be anything, since clients write it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address

_FOR = re.compile(rb'(?:^|[;,])[ \t]*for=(?:"([^"]*)"|([^;,]*))', re.IGNORECASE)


class Origin(NamedTuple):
    """Where a request comes from. `address`: its client's; "" where a trusted proxy names none. `trusted`: whether a
    trusted proxy sent it, so that its headers are believed."""

    address: str
    trusted: bool = False


class TrustedProxies:
    """The addresses whose word is taken for who called them."""

    def __init__(self, networks: str) -> None:
        """`networks`: addresses and networks, separated by commas. Raises `ValueError`."""
        self._networks = read_networks(networks)
        self.contains = lru_cache(maxsize=1024)(self._contains)
        """Whether an address is a trusted proxy's."""

    def origin(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> Origin:
        """Where a request comes from.

        `peer`: the address that opened the connection. `headers`: all of them, names in lower case. X-Forwarded-For
        counts, or without it Forwarded (RFC 7239). The last hop that is not trusted is the client.
        """
        if not self.contains(peer):
            return Origin(peer)
        for hop in reversed(_hops(headers)):
            address = read_address(hop)
            if address is None:
                break
            if not self.contains(str(address)):
                return Origin(str(address), trusted=True)
        return Origin("", trusted=True)

    def _contains(self, address: str) -> bool:
        if not self._networks:
            return False
        read = read_address(address)
        return any(read in network for network in self._networks if read and read.version == network.version)


def read_networks(given: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Raises `ValueError`."""
    return tuple(ip_network(one.strip()) for one in given.split(",") if one.strip())


def read_address(given: str) -> Address | None:
    """The address in a hop, which may have a port and brackets; an IPv4 address that travels as IPv6 is one."""
    bare = given.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _hops(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Each proxy may add to the last header of this name, or add one more."""
    listed, forwarded = [], []
    for name, value in headers:
        if name == b"x-forwarded-for":
            listed.append(value)
        elif name == b"forwarded":
            forwarded.append(value)
    if listed:
        return b",".join(listed).decode("latin1").split(",")
    return [(quoted or plain).decode("latin1") for quoted, plain in _FOR.findall(b",".join(forwarded))]
