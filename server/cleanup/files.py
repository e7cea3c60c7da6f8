"""Files that are there whole or not at all: written under a temporary name, renamed into place."""

import os
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = ".tmp"


def write(path: Path, data: bytes) -> None:
    """Write a file that is on the disk when this returns, and its name with it. Raises `OSError`."""
    write_all([(path, data)], durable=True)


def write_all(files: Iterable[tuple[Path, bytes]], *, durable: bool) -> None:
    """Write files of one folder. `durable`: all are on the disk when this returns; their folder is synced once.

    Raises `OSError`; files before the one that failed may be there.
    """
    folder: Path | None = None
    for path, data in files:
        folder = path.parent
        temporary = path.with_name(path.name + TEMPORARY)
        try:
            _write(temporary, data, durable)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    if durable and folder:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, durable: bool) -> None:
    with path.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
