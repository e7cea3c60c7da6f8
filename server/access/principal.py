"""Who asks, and what they may do. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

SCOPES: Final[Mapping[str, str]] = {
    "infer": "send images",
    "urgent": "ask for an urgency above the default",
    "records": "read and delete its own images",
    "metrics": "read metrics",
    "admin": "everything, images of others included",
}
"""Each scope with what it permits."""


class Limits(NamedTuple):
    """How much one principal may ask for. None: no limit."""

    rate: float | None = None
    """Images per second, on average."""
    burst: int | None = None
    """Images at once on top of the rate; None is one second of it."""
    in_flight: int | None = None
    """Images between the request's head and its answer."""


NO_LIMITS: Final = Limits()


class Principal(NamedTuple):
    """Whoever is behind a request.

    `id`: `key:NAME`, `jwt:SUBJECT` or `ip:ADDRESS`, so that no kind can pass for another; empty where nothing is known.
    `weight`: its share of the queue under overload, relative to the others'.
    """

    id: str
    scopes: frozenset[str]
    limits: Limits = NO_LIMITS
    weight: float = 1.0

    def may(self, scope: str) -> bool:
        """Whether it has this scope; `admin` includes all others."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def has_credentials(self) -> bool:
        """Whether it showed a key or a token; False for a client that is known by its address at most."""
        return bool(self.id) and not self.id.startswith(ADDRESS)


EVERYTHING: Final = frozenset(SCOPES)
ANYONE: Final = EVERYTHING - {"admin", "urgent"}
"""The scopes of a client where there are no keys. What a path needs is not asked then."""
FROM_TRUSTED: Final = ANYONE | {"urgent"}
"""The same, where a trusted proxy sent the request."""
ADDRESS: Final = "ip:"
"""Begins the id of a client that is known by its address only."""


def known_scopes(words: Iterable[str]) -> frozenset[str]:
    """The scopes among `words`; whatever else stands there is for other services."""
    return EVERYTHING.intersection(words)


def address_id(host: str) -> str:
    """The id of a client that is known by its address only. IPv6 hosts own a /64, and count as one client by it.

    Empty for "": a client of which nothing is known.
    """
    if not host:
        return ""
    if ":" not in host:
        return f"{ADDRESS}{host}"
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return f"{ADDRESS}unknown"
    if address.ipv4_mapped:
        return f"ip:{address.ipv4_mapped}"
    return f"ip:{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
