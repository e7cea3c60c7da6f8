"""Which client a request comes from, where proxies stand between: the last hop that is not one of ours. Pure.

A proxy appends the address it was called from. What stands before that may be anything, since clients write it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_FOR = re.compile(rb'(?:^|[;,])[ \t]*for=(?:"([^"]*)"|([^;,]*))', re.IGNORECASE)


class TrustedProxies:
    """The addresses whose word is taken for who called them."""

    def __init__(self, networks: str) -> None:
        """`networks`: addresses and networks, separated by commas. Raises `ValueError`."""
        self._networks = read_networks(networks)
        self.contains = lru_cache(maxsize=1024)(self._contains)
        """Whether an address is a trusted proxy's."""

    def client_of(self, peer: str, headers: Mapping[bytes, bytes]) -> Address | None:
        """The client's address; None where a trusted proxy names none, or something that is no address.

        `peer`: who opened the connection. `headers`: X-Forwarded-For, or without it Forwarded (RFC 7239), count.
        """
        if not self.contains(peer):
            return read_address(peer)
        for hop in reversed(_hops(headers)):
            address = read_address(hop)
            if address is None or not self.contains(str(address)):
                return address
        return None

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


def _hops(headers: Mapping[bytes, bytes]) -> list[str]:
    if (listed := headers.get(b"x-forwarded-for")) is not None:
        return listed.decode("latin1").split(",")
    forwarded = headers.get(b"forwarded", b"")
    return [(quoted or plain).decode("latin1") for quoted, plain in _FOR.findall(forwarded)]
