"""The items of a spool as files: those that wait, and those that were set aside as damaged."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from server.cleanup.carrier import BAD
from server.cleanup.item import Damaged, Item, is_id, loads, when
from server.cleanup.spool import SUFFIX

Condition = Literal["waiting", "damaged"]


class Entry(msgspec.Struct, frozen=True):
    """One item. `age_s`: since its answer."""

    id: str
    condition: Condition
    bytes: int
    age_s: float
    path: str


def entries(folder: Path) -> Iterator[Entry]:
    """All items, the oldest first; those that wait before those that are damaged."""
    places: tuple[tuple[Condition, Path], ...] = (("waiting", folder), ("damaged", folder / BAD))
    for condition, place in places:
        for name in sorted(os.listdir(place)) if place.is_dir() else ():
            id_ = name.removesuffix(SUFFIX)
            if name.endswith(SUFFIX) and is_id(id_):
                try:
                    size = (place / name).stat().st_size
                except FileNotFoundError:
                    continue  # carried just now
                yield Entry(id_, condition, size, age_s(id_), str(place / name))


def age_s(id_: str) -> float:
    """Seconds since the answer of this id."""
    return max(0.0, time.time_ns() / 1e9 - when(id_).timestamp())


def load(entry: Entry) -> Item | None:
    """The item; None if it has gone meanwhile. Raises `Damaged`, `OSError`."""
    try:
        return loads(Path(entry.path).read_bytes())
    except FileNotFoundError:
        return None


def put_back(folder: Path, entry: Entry) -> bool:
    """Put a damaged item that is whole again back among those that wait; False if it is not."""
    try:
        whole = load(entry)
    except (Damaged, OSError):
        return False
    if whole:
        os.replace(entry.path, folder / f"{entry.id}{SUFFIX}")
    return whole is not None
