"""The key file: JSON, one record per key, a hash instead of the secret. `tureen keys` writes it, the server reads it.

Writing is atomic: readers see the old file or the new one. Writers exclude each other by a lock beside the file.
"""

import fcntl
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from server.access.errors import KeyFileError
from server.access.principal import SCOPES, Limits, Principal, known_scopes

_MAX_BYTES = 16 * 1024 * 1024

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class KeyRecord(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One key. Times are UTC."""

    name: Name
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the key."""
    scopes: tuple[str, ...]
    created: Annotated[datetime, Meta(tz=True)]
    expires: Annotated[datetime, Meta(tz=True)] | None = None
    rate: Annotated[float, Meta(gt=0)] | None = None
    burst: Annotated[int, Meta(ge=1)] | None = None
    in_flight: Annotated[int, Meta(ge=1)] | None = None
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0

    @property
    def principal(self) -> Principal:
        """Who has this key."""
        limits = Limits(self.rate, self.burst, self.in_flight)
        return Principal(f"key:{self.name}", known_scopes(self.scopes), limits, self.weight)


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document."""

    keys: tuple[KeyRecord, ...] = ()


def read_keys(path: Path) -> tuple[KeyRecord, ...]:
    """The records. Raises `KeyFileError` for a file that is missing, malformed, or writable by others."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyFileError(f"{path} may be written by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}")
    if len(text) > _MAX_BYTES:
        raise KeyFileError(f"{path} is larger than {_MAX_BYTES} bytes")
    try:
        keys = msgspec.json.decode(text, type=KeyFile).keys
    except msgspec.MsgspecError as error:  # also of text that is no JSON; it shows no value
        raise KeyFileError(f"{path} is no key file: {error}") from None
    return _checked(path, keys)


def _checked(path: Path, keys: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
    for name, count in Counter(key.name for key in keys).items():
        if count > 2:  # two while a key is rotated
            raise KeyFileError(f"{path}: {count} keys are named {name}")
    if unknown := {scope for key in keys for scope in key.scopes} - SCOPES.keys():
        raise KeyFileError(f"{path}: unknown scope {min(unknown)}; known: {', '.join(SCOPES)}")
    return keys


def edit_keys(path: Path, edit: Callable[[Sequence[KeyRecord]], Sequence[KeyRecord]]) -> None:
    """Replace the records by what `edit` makes of them; a file that does not exist has none.

    Raises `KeyFileError`, what `edit` raises, and `OSError` if the file cannot be written.
    """
    with _locked(path):
        keys = edit(read_keys(path) if path.exists() else ())
        _write(path, msgspec.json.format(msgspec.json.encode(KeyFile(tuple(keys)))) + b"\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path.with_name(path.name + ".lock"), "w") as lock:
        os.chmod(lock.name, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: bytes) -> None:
    """Atomically, in mode 0600."""
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, os.path.realpath(path))
    except BaseException:
        os.unlink(name)
        raise
