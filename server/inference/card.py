"""The model card: what a model wants and what its output means, from a folder or off the model itself.

A model is a `.onnx` file, or a folder `NAME/` that holds `model.toml` (which may be left out) and
`VERSION/model.onnx`. Whatever is wrong is a `ModelError` for the one who put it there: file, key, value,
rule.

This file knows nothing about HTTP and runs no model.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from preprocess.recipe import IMAGENET_MEAN, IMAGENET_STD, Dtype, Layout, Recipe

Kind = Literal["classes"]
Activation = Literal["auto", "softmax", "none"]
Dimension = int | str | None  # of a model's input: a number, or free, with or without a name
T = TypeVar("T", "Output", Recipe)

CARD_FILE = "model.toml"
MODEL_FILE = "model.onnx"
FIRST_VERSION = "1"
FREE_SIDE = 224  # pixels, where a model leaves height or width free

_DTYPES: dict[str, Dtype] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}


class ModelError(Exception):
    """A model or its card can't be used; the message is for whoever runs the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the model's output means; `labels`, `scores` and `tips` have one entry a class, in its order.

    `activation` says what is left to do until a row holds probabilities: `none`, `softmax`, or `auto`,
    softmax where rows don't sum to 1 already. An answer names the `top_k` best classes. Raises ValueError.
    """

    kind: Kind = "classes"
    activation: Activation = "auto"
    labels: tuple[str, ...] | None = None
    scores: tuple[float, ...] | None = None
    tips: tuple[str, ...] | None = None
    top_k: int = 5

    def __post_init__(self) -> None:
        count = None if self.labels is None else len(self.labels)
        if self.top_k < 1:
            raise ValueError(f"top_k must be >= 1, got {self.top_k}")
        if count == 0:
            raise ValueError("labels must not be empty")
        for name, values in (("scores", self.scores), ("tips", self.tips)):
            if values is not None and len(values) != count:
                raise ValueError(
                    f"{name} must have one entry a label: {len(values)} for {count or 'no'} labels"
                )
        if not all(map(math.isfinite, self.scores or ())):
            raise ValueError(f"scores must be finite, got {self.scores}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Name, version, recipe (None: to be read off the model's input) and output of a model."""

    name: str
    version: str
    recipe: Recipe | None = None
    output: Output = field(default_factory=Output)


@dataclass(frozen=True, slots=True)
class Located:
    """Where a model lies, and its card."""

    model_file: Path
    card: Card


def find_model(path: Path) -> Located:
    """Find the model at `path`: a `.onnx` file, `NAME/` (its highest version) or `NAME/VERSION/`.

    Raises ModelError.
    """
    path = Path(os.path.abspath(path))  # not resolved: a version may be a link, and its name is the link's
    if path.is_file():
        return _single_file(path)
    if not path.is_dir():
        raise ModelError(f"{path}: there is no such file or folder")
    folder = path if not (path / MODEL_FILE).is_file() else path.parent
    if folder != path and (path / CARD_FILE).is_file():
        raise ModelError(f"{path / CARD_FILE}: the card belongs one folder up, beside the versions")
    version = _highest_version(path) if folder == path else path.name
    return Located(folder / version / MODEL_FILE, _read_card(folder, version))


def recipe_from_input(shape: Sequence[Dimension], dtype: str) -> Recipe:
    """The recipe of a model without one, from its input as ONNX Runtime reports it.

    Such a model takes what most image models do: the picture cut to its proportions, ImageNet's
    normalisation for three channels of floats, 0..1 for one, bytes as they are. A free height or width
    means 224. Raises ModelError.
    """
    kind, axes = _DTYPES.get(dtype), _axes(shape)
    if kind is None or axes is None:
        raise ModelError(
            f"the model's input is {dtype} {list(shape)}; needed: {', '.join(_DTYPES)} of 4 dimensions,"
            f" with 1 or 3 channels in the second or the last, or an [input] in {CARD_FILE}"
        )
    layout, channels, height, width = axes
    values: dict[str, Any] = {} if kind == "uint8" else {"scale": 1 / 255}
    if channels == 3 and kind != "uint8":
        values |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    colour: Literal["RGB", "grey"] = "RGB" if channels == 3 else "grey"
    try:
        return Recipe(width=width, height=height, layout=layout, dtype=kind, colour=colour, **values)
    except ValueError as error:
        raise ModelError(f"the model's input is {dtype} {list(shape)}: {error}") from None


def _axes(shape: Sequence[Dimension]) -> tuple[Layout, int, int, int] | None:
    """(layout, channels, height, width) of an input of 4 dimensions; None where there is no telling."""
    if len(shape) != 4:
        return None
    _, second, third, last = shape
    if second in (1, 3):
        return "NCHW", int(second), _side(third), _side(last)
    if last in (1, 3):
        return "NHWC", int(last), _side(second), _side(third)
    return None


def _side(dimension: Dimension) -> int:
    return dimension if isinstance(dimension, int) and dimension > 0 else FREE_SIDE


def _single_file(path: Path) -> Located:
    if path.suffix.lower() != ".onnx":
        raise ModelError(
            f"{path}: a model must be a .onnx file or a folder, got a {path.suffix or 'nameless'} file"
        )
    return Located(path, Card(name=path.stem, version=FIRST_VERSION))


def _highest_version(folder: Path) -> str:
    versions = [child.name for child in folder.iterdir() if (child / MODEL_FILE).is_file()]
    if not versions:
        raise ModelError(
            f"{folder}: a model's folder must hold VERSION/{MODEL_FILE}, and this one has no version"
        )
    return max(versions, key=_natural)


def _natural(version: str) -> list[tuple[int, str]]:
    """A sort key that puts 10 above 9: runs of digits are numbers, and rank above letters."""
    parts = re.findall(r"\d+|\D+", version)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _read_card(folder: Path, version: str) -> Card:
    file = folder / CARD_FILE
    tables = _read_toml(file) if file.exists() else {}
    for name, table in tables.items():
        if name not in ("input", "output") or not isinstance(table, dict):
            raise ModelError(f"{file}: {name}: a card has the tables [input] and [output] and nothing else")
    given = tables.get("input")
    recipe = None if given is None else _build(Recipe, given, file, "input")
    output = _build(Output, _with_labels(tables.get("output", {}), file), file, "output")
    return Card(name=folder.name, version=version, recipe=recipe, output=output)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not readable, not UTF-8, not TOML
        raise ModelError(f"{file}: {error}") from error


def _build(kind: type[T], table: dict[str, Any], file: Path, name: str) -> T:
    """A `kind` with the values of `table`, each of which must be a field of its type."""
    hints = get_type_hints(kind)
    if unknown := sorted(table.keys() - hints.keys()):
        raise ModelError(
            f"{file}: {name}.{unknown[0]}: there is no such key; [{name}] has {', '.join(hints)}"
        )
    needed = [field.name for field in fields(kind) if field.default is MISSING and field.name not in table]
    if needed:
        raise ModelError(f"{file}: {name}.{needed[0]}: [{name}] needs this key")
    values: dict[str, Any] = {
        key: _convert(value, hints[key], f"{file}: {name}.{key}") for key, value in table.items()
    }
    try:
        return kind(**values)
    except ValueError as error:
        raise ModelError(f"{file}: [{name}]: {error}") from None


def _convert(value: object, hint: object, where: str) -> object:
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        rule = f"must be one of {', '.join(get_args(hint))}" if get_origin(hint) is Literal else str(error)
        raise ModelError(f"{where} = {value!r}: {rule}") from None


def _with_labels(table: dict[str, Any], file: Path) -> dict[str, Any]:
    """`table` with the labels themselves in place of `labels_file`."""
    if "labels_file" not in table:
        return table
    where, given = f"{file}: output.labels_file = {table['labels_file']!r}", table["labels_file"]
    if "labels" in table:
        raise ModelError(f"{where}: labels stand in the card or in a file, not in both")
    path = (file.parent / str(given)).resolve()
    if not isinstance(given, str) or not path.is_relative_to(file.parent.resolve()):
        raise ModelError(f"{where}: must be a path inside the model's folder")
    rest = {key: value for key, value in table.items() if key != "labels_file"}
    return rest | {"labels": _read_labels(path, where)}


def _read_labels(path: Path, where: str) -> list[str]:
    try:
        labels = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(f"{where}: {error}") from error
    if not all(label.strip() for label in labels):
        raise ModelError(f"{where}: must hold one label a line, and no empty line")
    return [label.strip() for label in labels]
