"""A folder of models: `NAME/model.toml`, `NAME/VERSION/model.onnx`, and what lies beside. Read when asked; blocking.

Names come from clients, too. So a name is looked up among those that are there, and never made into a path before it
has the form of one.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from server.models.card import MODEL_FILE, Card, Located, default_version, find_model, versions_in
from server.models.errors import ModelError
from server.repository.errors import RepositoryError

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
SUMS: Final = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class Folder:
    """The models in one folder, which may be a copy of what is elsewhere."""

    def __init__(self, path: Path, sync: Callable[[], object] = lambda: None) -> None:
        """`sync` makes it as what it is a copy of."""
        self.path = path
        self.sync = sync

    def names(self) -> list[str]:
        """The models that there are, in order. A folder without a version, or whose name cannot be one, is none."""
        try:
            children = sorted(self.path.iterdir())
        except OSError as error:
            raise RepositoryError(f"{self.path}: {error.strerror}") from None
        return [
            child.name for child in children if is_name(child.name) and child.is_dir() and self.versions(child.name)
        ]

    def versions(self, name: str) -> list[str]:
        """The versions of a model, the lowest first; none if there is no such model."""
        if not is_name(name):
            return []
        try:
            return [version for version in versions_in(self.path / name) if is_name(version)]
        except OSError:
            return []

    def default_version(self, name: str) -> str:
        """What is served while nobody has promoted anything. Raises `ModelError`."""
        return default_version(self.path / name)

    def card(self, name: str) -> Card:
        """The card as it is for the default version. Raises `ModelError`."""
        return find_model(self.path / name).card

    def locate(self, name: str, version: str) -> Located:
        """Where a version lies, its files checked against `SHA256SUMS` if there is one. Raises `ModelError`."""
        if version not in (there := self.versions(name)):
            raise ModelError(f"{name} has no version {version!r}: there is {', '.join(there) or 'no such model'}")
        located = find_model(self.path / name / version)
        check_sums(located.model_file.parent)
        return located

    def marks(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Something about each version of each model that changes when it is replaced, the lowest version first."""
        return {name: {version: self._mark(name, version) for version in self.versions(name)} for name in self.names()}

    def _mark(self, name: str, version: str) -> tuple[int, int]:
        try:
            status = (self.path / name / version / MODEL_FILE).stat()
        except OSError:  # it has gone just now
            return (0, 0)
        return status.st_mtime_ns, status.st_size


def is_name(text: str) -> bool:
    """Whether a model or a version may be called so."""
    return NAME.fullmatch(text) is not None


def check_sums(folder: Path) -> None:
    """Compare the files of a version with its `SHA256SUMS`, as `sha256sum` writes it. Raises `ModelError`."""
    file = folder / SUMS
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: {error}") from None
    for line in filter(None, lines):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ModelError(f"{file}: {line!r} is no line of sha256sum's")
        _check_sum(folder, found[2], found[1])


def _check_sum(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{folder / SUMS}: {name!r} lies outside the version's folder")
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    if digest != expected:
        raise ModelError(f"{path}: its SHA-256 is {digest}; {SUMS} says {expected}")
