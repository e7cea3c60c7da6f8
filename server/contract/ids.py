"""Identifiers: a UUIDv7 for each upload (its time order makes good keys), XXH3-128 for its content."""

import hashlib
import random
import time

import xxhash

_LOWER = (1 << 62) - 1


def uuid7() -> str:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.

    The generator is seeded by the system at start: enough to be unique, and no secret.
    """
    return _uuid7(time.time_ns() // 1_000_000, random.getrandbits(74))


def derived_uuid7(milliseconds: int, *parts: str) -> str:
    """The UUIDv7 of something that has a time and a name: the same each time. 74 bits of BLAKE2b stand for chance."""
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=10).digest()
    return _uuid7(milliseconds, int.from_bytes(digest, "big") >> 6)


def _uuid7(milliseconds: int, chance: int) -> str:
    """`chance`: 74 bits."""
    first, last = f"{milliseconds:012x}", f"{0x2 << 62 | chance & _LOWER:016x}"
    return f"{first[:8]}-{first[8:]}-7{chance >> 62:03x}-{last[:4]}-{last[4:]}"


def content_hash(body: bytes) -> str:
    """XXH3-128 of the bytes as uploaded, 32 hex digits. Finds duplicates; not cryptographic."""
    return xxhash.xxh3_128_hexdigest(body)
