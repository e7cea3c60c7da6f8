"""Noticing that files have changed, by looking once per second: that works on every file system and mount."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

EVERY_S: Final = 1.0

_Version = tuple[int, int, int] | None


async def watch(paths: Sequence[Path], changed: Callable[[], None], every_s: float = EVERY_S) -> None:
    """Call `changed`, in a thread, whenever one of the files is another than before. Until cancelled.

    What it does must be safe beside the event loop: replace one reference, say.
    """
    before = _versions(paths)
    while True:
        await anyio.sleep(every_s)
        now = await anyio.to_thread.run_sync(_versions, paths)
        if now != before:
            before = now
            await anyio.to_thread.run_sync(changed)


def _versions(paths: Sequence[Path]) -> list[_Version]:
    return [_version(path) for path in paths]


def _version(path: Path) -> _Version:
    """What changes with a file's content, links followed; None where it is missing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
