"""A log file that never holds half a line and never grows without bound. Blocking: for a thread."""

import os
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 64 * 1024 * 1024
KEPT: Final = 5  # files besides the one that is written


class RotatingFile:
    """FILE, and the older FILE.1 to FILE.5. A FILE that somebody moved or deleted is made anew.

    Its state: the descriptor, -1 while there is none.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._descriptor = -1

    def write(self, lines: bytes) -> None:
        """Append whole lines. Raises `OSError`; then none of them is in the file."""
        self._open()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(lines) > self._max_bytes:
            self._rotate()
            size = 0
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self._descriptor >= 0 and not self._is_current():
            self.close()
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                os.replace(older, self._numbered(number + 1))
        os.replace(self._path, self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
