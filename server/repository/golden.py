"""Golden images: pictures whose answers are known, which a version has to give before it takes traffic.

    NAME/golden/cat.jpg
    NAME/golden/golden.json     {"tolerance": 0.01, "images": {"cat.jpg": {"predictions": [...]}}}
    NAME/VERSION/golden.json    the same for one version, in place of it

Comparing is pure. Values are compared as clients see them: scores of labels, one score, or raw outputs.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.repository.errors import RepositoryError

FOLDER, FILE = "golden", "golden.json"
TOLERANCE = 0.01
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")

Members = Mapping[str, Any]
"""What a model's answer says, decoded: `predictions`, `score`, `outputs`."""


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. `tolerance`: by how much a score may differ; of a raw output it is a part of its largest value."""

    images: dict[str, dict[str, Any]]
    tolerance: float = TOLERANCE


def read_golden(model: Path, version: str = "") -> Golden | None:
    """What is expected of a version of the model in this folder; None if there are no golden images.

    Raises `RepositoryError`.
    """
    own = model / version / FILE
    file = own if version and own.exists() else model / FOLDER / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Golden)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RepositoryError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # of msgspec's as well
        raise RepositoryError(f"{file} is damaged: {error}") from None


def read_image(model: Path, name: str) -> bytes:
    """A golden image. Raises `RepositoryError`."""
    file = model / FOLDER / name
    if Path(name).name != name:
        raise RepositoryError(f"{file}: must be a file of the folder {FOLDER}")
    try:
        return file.read_bytes()
    except OSError as error:
        raise RepositoryError(f"{file}: {error.strerror}") from None


def pictures(model: Path) -> list[Path]:
    """The images in the golden folder, in order."""
    folder = model / FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def write_golden(model: Path, golden: Golden) -> Path:
    """Write the file; where it is."""
    return write_to(model / FOLDER / FILE, golden)


def write_to(file: Path, golden: Golden) -> Path:
    """Write this file."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(golden), indent=2) + b"\n")
    return file


def difference(expected: Members, got: Members, tolerance: float) -> str:
    """How an answer differs from what is expected, in a few words; nothing if it does not."""
    if missing := sorted(key for key in ("predictions", "score", "outputs") if key in expected and key not in got):
        return f"the answer has no {missing[0]}"
    found = ""
    if "predictions" in expected:
        found = _of_predictions(expected["predictions"], got["predictions"], tolerance)
    if not found and "score" in expected:
        found = _of_score("score", _number(expected["score"]), _number(got["score"]), tolerance)
    if not found and "outputs" in expected:
        found = _of_outputs(expected["outputs"], got["outputs"], tolerance)
    return found


def _of_predictions(expected: Sequence[Members], got: Sequence[Members], tolerance: float) -> str:
    if expected and (not got or expected[0]["label"] != got[0]["label"]):
        best = got[0]["label"] if got else "nothing"
        return f"the best class is {best!r}, expected {expected[0]['label']!r}"
    scores = {one["label"]: _number(one["score"]) for one in got}
    least = min(scores.values(), default=0.0)
    for one in expected:  # a class that is not among the best has the least of their scores, at most
        label, score = one["label"], _number(one["score"])
        if found := _of_score(label, score, scores.get(label, min(least, score)), tolerance):
            return found
    return ""


def _number(value: float | None) -> float:
    """JSON has null for what is not a number."""
    return math.nan if value is None else value


def _of_score(name: str, expected: float, got: float, tolerance: float) -> str:
    if abs(expected - got) <= tolerance:  # false for what is not a number
        return ""
    return f"{name} is {got:.6g}, expected {expected:.6g} within {tolerance:g}"


def _of_outputs(expected: Members, got: Members, tolerance: float) -> str:
    for name, values in expected.items():
        wanted, found = _flat(values), _flat(got.get(name))
        if len(wanted) != len(found):
            return f"output {name} has {len(found)} values, expected {len(wanted)}"
        allowed = tolerance * max(map(abs, wanted), default=0.0)
        worst = max((abs(one - other) for one, other in zip(wanted, found, strict=True)), default=0.0)
        if not worst <= allowed:
            return f"output {name} is off by {worst:.6g}, allowed {allowed:.6g}"
    return ""


def _flat(values: object) -> list[float]:
    if isinstance(values, list):
        return [value for each in values for value in _flat(each)]
    return [float(values)] if isinstance(values, int | float) else []
