"""A model's files as they were at the start, kept for as long as a server runs.

A worker that is replaced opens the model again. By then its files may have been replaced, overwritten or removed, and
answers of two versions would go out under one name. So a server serves a copy of its own:

    TMPDIR/tureen-model-XXXX/       for this server's user alone
        lock                        locked by the server: whoever can lock it may remove the folder
        NAME/model.toml, labels     or model/NAME.onnx, where the model is a file
        NAME/VERSION/model.onnx     and its external data

Where there is no room for the model, its version folder is a link, and only the card is a copy. Then workers still
refuse files that are not those of the start, by their digest.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from server.models.card import Located, find_model
from server.models.errors import ModelError
from server.models.external_data import external_files
from server.models.toml_card import CARD_FILE, labels_paths

_PREFIX = "tureen-model-"
_LOCK = "lock"
_SHARE = 4  # of the free space: a model may take a quarter of it

log = structlog.stdlib.get_logger("tureen.model")


def free_bytes(folder: Path) -> int:
    """Bytes that are free where the folder is."""
    return shutil.disk_usage(folder).free


@contextmanager
def kept(model: Path, base: Path | None = None, free: Callable[[Path], int] = free_bytes) -> Iterator[Path]:
    """A path that holds the model at `model` as it is now, until it is left. Raises `ModelError`.

    It is `model` itself where no folder can be made; a log line says so. `base`: where to make it; None is TMPDIR.
    """
    located = find_model(model)
    try:
        base = base or Path(tempfile.gettempdir())
        _sweep(base)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    except OSError as error:
        log.warning("model_not_copied", reason=str(error))
        yield model
        return
    with _locked(folder):
        try:
            yield _copied(model, located, folder, free)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _copied(model: Path, located: Located, folder: Path, free: Callable[[Path], int]) -> Path:
    """The model in `folder`. Where it cannot be copied, a folder that leads to it, or `model` if it is a file."""
    file = located.model_file
    single = model.is_file()
    name, version = located.card.name, located.card.version  # valid text, which a file's name need not be
    root = folder / ("model" if single else name)
    place = root if single else root / version
    try:
        root.mkdir(mode=0o700)
        if not single:
            _copy_all(_card_files(file.parent.parent), file.parent.parent, root)
        _copy_model(file, place, free(folder))
        return (place / file.name).rename(place / f"{name}.onnx") if single else place
    except OSError as error:
        log.warning("model_not_copied", reason=str(error))
    shutil.rmtree(place, ignore_errors=True)
    return model if single else _linked(place, file.parent, model)


def _linked(place: Path, version: Path, model: Path) -> Path:
    try:
        place.symlink_to(version, target_is_directory=True)
    except OSError:
        return model
    return place


def _copy_model(file: Path, place: Path, free: int) -> None:
    """Copy the model and its external data. Raises `OSError` if there is no room: `free` bytes are left."""
    files = [file, *external_files(file)]
    size = sum(each.stat().st_size for each in files)
    if size > free // _SHARE:
        raise OSError(f"{size:,} bytes are more than a quarter of the {free:,} that are free in {place.parent}")
    _copy_all(files, file.parent, place)


def _card_files(folder: Path) -> Sequence[Path]:
    card = folder / CARD_FILE
    return [path for path in dict.fromkeys([card, *labels_paths(card)]) if path.is_file()]


def _copy_all(files: Sequence[Path], source: Path, target: Path) -> None:
    """Copy files of `source` to where they are in `target`. Raises `ModelError` if one changes meanwhile."""
    for file in files:
        copy = target / file.relative_to(source)
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = _state(file)
        shutil.copyfile(file, copy)
        if _state(file) != before:
            raise ModelError(f"{file} changes while it is read: start again when it is complete")


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """`folder` with a lock in it, which is held from its first moment on: the file is locked, then moved there."""
    handle, name = tempfile.mkstemp(prefix=f".{_PREFIX}", dir=folder.parent)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.replace(name, folder / _LOCK)
        yield
    finally:
        os.close(handle)


def _sweep(base: Path) -> None:
    """Remove the folders of this user's servers that were killed."""
    for folder in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another server's, or gone by now
            if folder.stat().st_uid != os.getuid():
                continue
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)
