"""Identifiers as their specifications have them."""

import uuid

import xxhash

from server.contract.ids import content_hash, uuid7


def test_uuid7_has_version_variant_and_time():
    """RFC 9562: version 7, variant 10, Unix milliseconds in the first 48 bits."""
    given = uuid.UUID(uuid7())

    later = uuid.UUID(uuid7())
    assert (7, uuid.RFC_4122) == (given.version, given.variant)
    assert given.int >> 80 <= later.int >> 80
    assert 1_700_000_000_000 < given.int >> 80 < 10_000_000_000_000


def test_uuids_differ():
    """74 random bits."""
    assert 1000 == len({uuid7() for _ in range(1000)})


def test_content_hash_is_xxh3_128():
    """The published digest of the empty input, and agreement with the library's other spelling."""
    assert "99aa06d3014798d86001c324468d497f" == content_hash(b"")
    assert xxhash.xxh3_128(b"tureen").hexdigest() == content_hash(b"tureen")
