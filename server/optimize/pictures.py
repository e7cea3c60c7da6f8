"""The user's pictures: found, told apart by what they were cut from, and split.

Files with the same bytes are one. A source picture, with all that was cut from it, stands on one side of the split.
Which side depends on the bytes alone: the same folder is split the same way each time.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.cleanup.stores import Store
from server.optimize.errors import OptimizeError
from server.optimize.gate import calibration_count

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif", ".heic")
SOURCE = r"(.+?)(?:[-_. ]*(?:crop|view|tile|part|aug)[-_. ]?\d+.*)?"
"""Of a file's name without suffix, the part that names the source picture, as the first group."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`name` in its folder or store. `digest`: SHA-256 of its bytes, hex."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True, slots=True)
class Split:
    """What calibrates and what is held out."""

    calibration: tuple[Picture, ...]
    held_out: tuple[Picture, ...]

    @property
    def digest(self) -> str:
        """Of the calibration pictures, in their order; hex."""
        return hashlib.sha256("".join(picture.digest for picture in self.calibration).encode()).hexdigest()


class Folder:
    """A folder of pictures, with its sub-folders."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """Of the pictures, in order. Raises `OptimizeError`."""
        if not self._path.is_dir():
            raise OptimizeError(f"{self._path}: there is no such folder")
        found = (path for path in self._path.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
        return sorted(path.relative_to(self._path).as_posix() for path in found)

    def get(self, name: str) -> bytes:
        """A picture's bytes. Raises `OSError`."""
        return (self._path / name).read_bytes()


class Stored:
    """The images in a store of `tureen serve --store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def names(self) -> list[str]:
        """Of the originals, in order. Raises `StoreError`."""
        return sorted(name for name in self._store.names() if name.endswith(_SUFFIXES))

    def get(self, name: str) -> bytes:
        """An image's bytes; none if it has gone. Raises `StoreError`."""
        return self._store.get(name) or b""


Pictures = Folder | Stored


def look_through(pictures: Pictures, names: Iterable[str], source: str = SOURCE) -> list[Picture]:
    """What is there, each picture once."""
    pattern, seen = re.compile(source), dict[str, Picture]()
    for name in names:
        digest = hashlib.sha256(pictures.get(name)).hexdigest()
        stem = name.rpartition(".")[0]
        found = pattern.fullmatch(stem)
        seen.setdefault(digest, Picture(name, found[1] if found and pattern.groups else stem, digest))
    return list(seen.values())


def split(pictures: Sequence[Picture]) -> Split:
    """By source picture, in the order of a digest. Pure."""
    sources: dict[str, str] = {}
    for picture in pictures:
        sources[picture.source] = min(sources.get(picture.source, "g"), picture.digest)  # "g" is above any digest
    ordered = sorted(sources, key=lambda source: (sources[source], source))
    chosen = {*ordered[: calibration_count(len(ordered))]}
    inner = sorted(pictures, key=lambda picture: (sources[picture.source], picture.digest))
    return Split(
        tuple(picture for picture in inner if picture.source in chosen),
        tuple(picture for picture in inner if picture.source not in chosen),
    )
