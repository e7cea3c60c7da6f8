"""The new version: where it goes, and writing it so that it is there whole or not at all."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from server.models.card import CARD_FILE, MODEL_FILE, Located, versions_in
from server.models.toml_card import labels_paths
from server.optimize.errors import OptimizeError
from server.repository.folder import SUMS

_PREFIX = ".optimize-"


def next_version(versions: Sequence[str]) -> str:
    """One above the highest that ends in a number; "2" where none does. Pure."""
    best: tuple[int, str] | None = None
    for version in versions:
        found = re.fullmatch(r"(.*?)(\d+)", version)
        if found and (best is None or int(found[2]) > best[0]):
            best = int(found[2]), found[1]
    return f"{best[1]}{best[0] + 1}" if best else "2"


def target(located: Located, asked: Path, out: Path | None) -> Path:
    """The folder of the new version: beside the others, or below `out`."""
    folder = located.model_file.parent.parent if asked.is_dir() else asked.absolute().parent / located.card.name
    name = located.card.name
    parent = out / name if out else folder
    there = [located.card.version]
    for known in (folder, parent):
        there += versions_in(known) if known.is_dir() else []
    return parent / next_version(there)


@contextlib.contextmanager
def writing(final: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `final` when the block ends well. Whatever ends it otherwise, a full disk or
    Ctrl-C, leaves nothing; what a killed process left is removed the next time. Raises `OptimizeError`, `OSError`."""
    parent = final.parent
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    outer = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    handle = os.open(outer, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    inner = outer / "version"  # a level down: a folder with a model in it would be taken for a version
    try:
        inner.mkdir()
        yield inner
        _sums(inner)
        for path in inner.iterdir():
            _sync(path)
        _sync(inner)
        if final.exists():
            raise OptimizeError(f"{final}: somebody else has written this version meanwhile")
        os.rename(inner, final)
        _sync(parent)
    finally:
        os.close(handle)
        shutil.rmtree(outer, ignore_errors=True)


def carry_card(located: Located, asked: Path, parent: Path) -> None:
    """Card, labels and golden images beside the new version, where it goes to another folder. Raises `OSError`."""
    folder = located.model_file.parent.parent
    if not asked.is_dir() or folder.resolve() == parent.resolve() or (parent / CARD_FILE).exists():
        return
    parent.mkdir(parents=True, exist_ok=True)
    for file in (*labels_paths(folder / CARD_FILE), folder / CARD_FILE):  # the card last: it names the others
        if file.is_file():
            goal = parent / file.relative_to(folder)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, goal)
    if (folder / "golden").is_dir() and not (parent / "golden").exists():
        shutil.copytree(folder / "golden", parent / "golden")


def sha256(path: Path) -> str:
    """Of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sums(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if not (folder / MODEL_FILE).is_file():
        raise OptimizeError(f"{folder / MODEL_FILE} has not been written")
    (folder / SUMS).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files))


def _sweep(parent: Path) -> None:
    """Remove what a process that was killed has left."""
    for left in parent.glob(f"{_PREFIX}*"):
        try:
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except OSError:  # at work
            pass
        finally:
            os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
