"""Who gets which version: the same client always the same, and nobody can choose. Pure."""

from collections.abc import Iterable
from hashlib import blake2b

_SPAN = float(1 << 64)


def position(salt: str, key: str) -> float:
    """Where a client stands between 0 (included) and 1 (excluded). Evenly spread over clients; another salt spreads
    them anew. A keyed hash: whoever does not know the salt cannot find a key that stands at a place of their choice.
    """
    digest = blake2b(key.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "big") / _SPAN


def pseudonym(salt: str, key: str) -> str:
    """A name for a client that tells nothing of its key: 16 hex digits."""
    return blake2b(b"unit:" + key.encode(), digest_size=8, key=salt.encode()[:64]).hexdigest()


def within(place: float, share: float) -> bool:
    """Whether a client who stands there is in this share. Who is in a share is in every larger one, too."""
    return place < share


def arm_of(place: float, arms: Iterable[tuple[str, float]]) -> str:
    """The arm in which a client stands. `arms`: each with its share; they sum to 1."""
    name, reached = "", 0.0
    for name, share in arms:
        reached += share
        if place < reached:
            return name
    return name  # the last, where rounding leaves a gap
