"""Identifiers: a UUIDv7 for each upload (its time order makes good keys), XXH3-128 for its content."""

import os
import time
import uuid

import xxhash


def uuid7() -> str:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | random
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def content_hash(body: bytes) -> str:
    """XXH3-128 of the bytes as uploaded, 32 hex digits. Finds duplicates; not cryptographic."""
    return xxhash.xxh3_128_hexdigest(body)
