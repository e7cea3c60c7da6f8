"""A card as a file: `model.toml`, read strictly. Every mistake is a `ModelError` with file, key, value and rule.

Files may begin with a byte order mark, as Windows editors write it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from server.models.errors import ModelError
from server.models.input_spec import Input
from server.models.output_spec import Output

CARD_FILE = "model.toml"

T = TypeVar("T", Output, Input)


def read_card(file: Path) -> tuple[Input, Output]:
    """The card's two tables, empty ones if there is no such file. Raises `ModelError`."""
    tables = _read_toml(file) if file.exists() else {}
    for name, table in tables.items():
        if name not in ("input", "output") or not isinstance(table, dict):
            raise ModelError(f"{file}: {name}: a card has the tables [input] and [output] and nothing else")
    given = _build(Input, tables.get("input", {}), file, "input")
    return given, _build(Output, _with_labels(tables.get("output", {}), file), file, "output")


def labels_path(file: Path) -> Path | None:
    """The file of labels that the card names, if it does. For a card that `read_card` takes."""
    output = _read_toml(file).get("output", {}) if file.exists() else {}
    return file.parent / output["labels_file"] if "labels_file" in output else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # not readable, not UTF-8, not TOML
        raise ModelError(f"{file}: {error}") from error


def _build(kind: type[T], table: dict[str, Any], file: Path, name: str) -> T:
    """A `kind` with the values of `table`, each of which must be a field of its type."""
    hints = get_type_hints(kind)
    if unknown := sorted(table.keys() - hints.keys()):
        raise ModelError(f"{file}: {name}.{unknown[0]}: there is no such key; [{name}] has {', '.join(hints)}")
    values: dict[str, Any] = {key: _convert(value, hints[key], f"{file}: {name}.{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ModelError(f"{file}: [{name}]: {error}") from None


def _convert(value: object, hint: object, where: str) -> object:
    hint = _present(hint)
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        rule = f"must be one of {', '.join(get_args(hint))}" if get_origin(hint) is Literal else str(error)
        raise ModelError(f"{where} = {value!r}: {rule}") from None


def _present(hint: object) -> object:
    """`hint` without None, which TOML cannot say."""
    kinds = [part for part in get_args(hint) if part is not type(None)]
    return kinds[0] if type(None) in get_args(hint) and len(kinds) == 1 else hint


def _with_labels(table: dict[str, Any], file: Path) -> dict[str, Any]:
    """`table` with the labels themselves in place of `labels_file`."""
    if "labels_file" not in table:
        return table
    where, given = f"{file}: output.labels_file = {table['labels_file']!r}", table["labels_file"]
    if "labels" in table:
        raise ModelError(f"{where}: labels belong in the card or in a file, not in both")
    path = (file.parent / str(given)).resolve()
    inside = path.is_relative_to(file.parent.resolve())
    if not isinstance(given, str) or not inside or Path(given).is_absolute():
        raise ModelError(f"{where}: must be a path inside the model's folder")
    rest = {key: value for key, value in table.items() if key != "labels_file"}
    return rest | {"labels": _read_labels(path, where)}


def _read_labels(path: Path, where: str) -> list[str]:
    try:
        labels = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(f"{where}: {error}") from error
    if not all(label.strip() for label in labels):
        raise ModelError(f"{where}: must hold one label per line, and no empty line")
    return [label.strip() for label in labels]
