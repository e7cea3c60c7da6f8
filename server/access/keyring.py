"""The keys in force: looked up by hash."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from server.access.errors import Unauthenticated
from server.access.key_file import KeyRecord
from server.access.principal import Principal
from server.access.secret import digest

Wall = Callable[[], float]
"""Seconds since 1970 on the wall clock: expiry is a date, which a monotonic clock cannot tell."""


def wall_clock() -> float:
    """Seconds since 1970."""
    return datetime.now(UTC).timestamp()


class _Entry(NamedTuple):
    principal: Principal
    expires: float


class KeyRing:
    """Its state: one table of entries by hash, replaced as a whole."""

    def __init__(self, keys: Sequence[KeyRecord] = (), wall: Wall = wall_clock) -> None:
        self._wall = wall
        self._by_hash: dict[bytes, _Entry] = {}
        self.replace(keys)

    @property
    def count(self) -> int:
        """Keys in force. No `__len__`: an empty ring must not pass for none."""
        return len(self._by_hash)

    def replace(self, keys: Sequence[KeyRecord]) -> None:
        """From now on these keys are in force, and no others."""
        self._by_hash = {
            bytes.fromhex(key.hash): _Entry(key.principal, key.expires.timestamp() if key.expires else float("inf"))
            for key in keys
        }

    def holder(self, secret: bytes) -> Principal:
        """Whose key this is. Raises `Unauthenticated`: unknown_key, expired.

        CORRECTNESS: the table is searched by the hash. How long that takes depends on bits of the hash, which nobody
        can turn into bits of the key.
        """
        entry = self._by_hash.get(digest(secret))
        if entry is None:
            raise Unauthenticated("unknown_key")
        if self._wall() >= entry.expires:
            raise Unauthenticated("expired")
        return entry.principal
