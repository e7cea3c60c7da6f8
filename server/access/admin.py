"""What `tureen keys` does to a key file, and the line that each act leaves in the audit log beside it."""

import os
import pwd
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from server.access.errors import KeyFileError
from server.access.key_file import KeyRecord, edit_keys
from server.access.secret import digest, new_secret

GRACE = timedelta(hours=24)
"""For which the old secret goes on working after a rotation, unless the operator says otherwise."""


def add(path: Path, record: KeyRecord) -> str:
    """Add a key under the record's name; its hash is set here. Gives the secret, which nothing else will ever show.

    Raises `KeyFileError` if the name is taken.
    """
    secret = new_secret()

    def edit(keys: Sequence[KeyRecord]) -> Sequence[KeyRecord]:
        if any(key.name == record.name for key in keys):
            raise KeyFileError(
                f"there is a key named {record.name} already: rotate or revoke it, or choose another name"
            )
        return [*keys, _with_secret(record, secret)]

    edit_keys(path, edit)
    write_audit(path, "keys.add", record.name)
    return secret


def revoke(path: Path, name: str) -> None:
    """Remove a key, both secrets of it if it is being rotated. Raises `KeyFileError` if there is none of this name."""

    def edit(keys: Sequence[KeyRecord]) -> Sequence[KeyRecord]:
        _named(keys, name)
        return [key for key in keys if key.name != name]

    edit_keys(path, edit)
    write_audit(path, "keys.revoke", name)


def rotate(path: Path, name: str, grace: timedelta = GRACE) -> str:
    """Give the key a new secret; the old one expires after `grace`. Raises `KeyFileError` as `revoke`."""
    secret = new_secret()
    now = datetime.now(UTC)

    def edit(keys: Sequence[KeyRecord]) -> Sequence[KeyRecord]:
        old = _named(keys, name)
        expires = min(old.expires or now + grace, now + grace)
        new = _with_secret(msgspec.structs.replace(old, created=now), secret)
        others = [key for key in keys if key.name != name]
        return [*others, msgspec.structs.replace(old, expires=expires), new]

    edit_keys(path, edit)
    write_audit(path, "keys.rotate", name)
    return secret


def audit_path(path: Path) -> Path:
    """Where acts on this key file are recorded."""
    return path.with_name(path.name + ".audit")


def write_audit(path: Path, act: str, target: str) -> None:
    """Append who did what, and when: one JSON object per line, on the disk before this returns."""
    line = {"time": datetime.now(UTC), "who": _user(), "act": act, "target": target}
    handle = os.open(audit_path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, msgspec.json.encode(line) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's number without a name
        return f"uid {os.getuid()}"


def _named(keys: Sequence[KeyRecord], name: str) -> KeyRecord:
    """The newest key of this name. Raises `KeyFileError`."""
    found = [key for key in keys if key.name == name]
    if not found:
        raise KeyFileError(f"there is no key named {name}; tureen keys list shows them")
    return max(found, key=lambda key: key.created)


def _with_secret(record: KeyRecord, secret: str) -> KeyRecord:
    return msgspec.structs.replace(record, hash=digest(secret.encode()).hex())
