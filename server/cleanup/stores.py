"""Where images and records are kept: the interface, a local folder, and the choice by URL."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from server.cleanup import files


class StoreError(Exception):
    """The store did not do it. `reason`: unreachable, refused (credentials, no such bucket), busy, disk."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Store(Protocol):
    """Objects by name, such as `2026-11-28/ID.json`. Blocking: call it from a thread. All raise `StoreError`."""

    def put(self, name: str, data: bytes, media_type: str) -> None:
        """Keep this; whole and durable when it returns. The same name again replaces it."""

    def get(self, name: str) -> bytes | None:
        """What is kept there; None if nothing is."""

    def delete(self, name: str) -> None:
        """Keep nothing there; not an error if nothing was."""

    def names(self) -> Iterator[str]:
        """All of them."""


class FolderStore:
    """A folder on this machine, or on a file system it has mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes, media_type: str) -> None:
        """As `Store.put`."""
        path = self._folder / name
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                files.sync_folder(self._folder)
            files.write(path, data)
        except OSError as error:
            raise _failed(error) from None

    def get(self, name: str) -> bytes | None:
        """As `Store.get`."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(error) from None

    def delete(self, name: str) -> None:
        """As `Store.delete`."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error) from None

    def names(self) -> Iterator[str]:
        """As `Store.names`; what begins with a dot is none of them."""
        try:
            for day in sorted(os.listdir(self._folder)) if self._folder.is_dir() else ():
                if not day.startswith(".") and (self._folder / day).is_dir():
                    yield from (f"{day}/{name}" for name in sorted(os.listdir(self._folder / day)) if _whole(name))
        except OSError as error:
            raise _failed(error) from None


def _whole(name: str) -> bool:
    return not name.endswith(files.TEMPORARY)


def _failed(error: OSError) -> StoreError:
    return StoreError("disk", error.strerror or str(error))
