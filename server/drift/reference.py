"""What live windows are compared with: looks at images of the time when the version was accepted, saved with it."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from server.drift.names import NAMES
from server.statistics.shift import Values

FILE = "drift.json"
LEAST_LOOKS = 500
MOST_LOOKS = 10_000
_OTHERS = "(others)"
_MOST_CLASSES = 20  # told apart; the rarer ones count together


class BadReference(Exception):
    """A reference cannot be used; the message says why."""


class Look(NamedTuple):
    """One image: its numbers, as `NAMES`, and the label of its answer, empty where it has none."""

    numbers: tuple[float, ...]
    label: str = ""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """`numbers`: sorted, by feature; those that the model has. `classes`: counts by label. `made`: ISO 8601, UTC."""

    format: int = 1
    made: str
    looks: int
    numbers: dict[str, list[float]]
    classes: dict[str, int]


class Sample(NamedTuple):
    """Several looks, by feature: NaN left out."""

    numbers: dict[str, Values]
    classes: dict[str, int]


def sample(looks: Sequence[Look]) -> Sample:
    """The looks, feature by feature."""
    columns = zip(*(look.numbers for look in looks), strict=True)
    numbers = {
        name: np.array([value for value in column if math.isfinite(value)])
        for name, column in zip(NAMES, columns, strict=True)
    }
    classes = Counter(look.label for look in looks if look.label)
    return Sample({name: values for name, values in numbers.items() if len(values)}, dict(classes))


def reference_of(looks: Sequence[Look], made: str) -> Reference:
    """Raises `BadReference` for too few looks."""
    if len(looks) < LEAST_LOOKS:
        raise BadReference(f"a reference needs at least {LEAST_LOOKS} images, got {len(looks)}")
    seen = sample(looks)
    common = dict(Counter(seen.classes).most_common(_MOST_CLASSES))
    if rare := sum(seen.classes.values()) - sum(common.values()):
        common[_OTHERS] = rare
    numbers = {name: np.sort(values).round(6).tolist() for name, values in seen.numbers.items()}
    return Reference(made=made, looks=len(looks), numbers=numbers, classes=common)


def in_classes_of(reference: Reference, classes: dict[str, int]) -> dict[str, int]:
    """The counts of a window, with labels that the reference does not name counted together."""
    if not reference.classes:
        return {}
    counts: Counter[str] = Counter()
    for label, count in classes.items():
        counts[label if label in reference.classes else _OTHERS] += count
    return dict(counts)


def save(folder: Path, reference: Reference) -> None:
    """With the version whose folder this is. Raises `OSError`."""
    temporary = folder / f".{FILE}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(reference))
    os.replace(temporary, folder / FILE)


def load(folder: Path) -> Reference | None:
    """That of a version; None if it has none. Raises `BadReference`."""
    try:
        data = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadReference(f"{folder / FILE}: {error.strerror}") from None
    try:
        found = msgspec.json.decode(data, type=Reference)
    except msgspec.MsgspecError as error:
        raise BadReference(f"{folder / FILE}: {error}") from None
    if found.format != 1 or not found.numbers or not all(found.numbers.values()):
        raise BadReference(f"{folder / FILE}: this is no reference that this version of Tureen knows")
    return found
