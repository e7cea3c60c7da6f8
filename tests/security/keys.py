"""Keys for tests."""

from datetime import UTC, datetime

from server.access import admin
from server.access.key_file import KeyRecord


def add_key(path, name, *scopes, **fields):
    """Add a key to the file; give its secret."""
    record = KeyRecord(name=name, hash="0" * 64, scopes=scopes or ("infer",), created=datetime.now(UTC), **fields)
    return admin.add(path, record)


def bearer(secret):
    """Give the header that carries it."""
    return {"authorization": f"Bearer {secret}"}
