"""Where states are kept: read and written whole, by compare-and-swap. Blocking: call it in a thread."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from server.repository.errors import Conflict, StoreFailed
from server.repository.state import ModelState, dump, parse

STATE_FILE = "state.json"
_LARGEST = 1 << 20


class Stored(NamedTuple):
    """A state, and the tag of this very document: "" if there is none yet."""

    state: ModelState
    tag: str


class StateStore(Protocol):
    """The states of all models of a repository."""

    def read(self, name: str) -> Stored:
        """The state of a model. Raises `StoreFailed`."""

    def write(self, name: str, state: ModelState, tag: str) -> str:
        """Replace the document that has this tag; the new tag. Raises `Conflict`, `StoreFailed`."""


class FileStates:
    """`NAME/state.json` in a folder. Servers on one host, or on a file system with locks, may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Stored:
        """As `StateStore.read`."""
        file = self._folder / name / STATE_FILE
        try:
            with file.open("rb") as stream:
                state = parse(stream.read(_LARGEST), str(file))
        except FileNotFoundError:
            return Stored(ModelState(), "")
        except OSError as error:
            raise StoreFailed(f"{file}: {error.strerror}") from None
        return Stored(state, str(state.generation))

    def write(self, name: str, state: ModelState, tag: str) -> str:
        """As `StateStore.write`."""
        try:
            with self._locked(name):
                if self.read(name).tag != tag:
                    raise Conflict(f"the state of {name} has been changed meanwhile")
                self._replace(self._folder / name, dump(state))
        except OSError as error:
            raise StoreFailed(f"the state of {name} cannot be written: {error.strerror}") from None
        return str(state.generation)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """The folder itself is locked: a lock file of its own would be one more thing to keep."""
        handle = os.open(self._folder / name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @staticmethod
    def _replace(folder: Path, data: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix=".state-", dir=folder)
        try:
            with open(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, folder / STATE_FILE)
        except BaseException:
            os.unlink(name)
            raise
