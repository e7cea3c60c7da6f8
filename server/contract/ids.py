"""Identifiers: a UUIDv7 for each upload (its time order makes good keys), XXH3-128 for its content."""

import random
import time

import xxhash


def uuid7() -> str:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.

    The generator is seeded by the system at start: enough to be unique, and no secret.
    """
    first, last = f"{time.time_ns() // 1_000_000:012x}", f"{0x2 << 62 | random.getrandbits(62):016x}"
    return f"{first[:8]}-{first[8:]}-7{random.getrandbits(12):03x}-{last[:4]}-{last[4:]}"


def content_hash(body: bytes) -> str:
    """XXH3-128 of the bytes as uploaded, 32 hex digits. Finds duplicates; not cryptographic."""
    return xxhash.xxh3_128_hexdigest(body)
