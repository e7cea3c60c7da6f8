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
from server.models.serving import Serving

CARD_FILE = "model.toml"

_TABLES = ("input", "output")
_SERVING = ("default_version", "default", "slo", "share", "workers", "warm_up", "experiment")

T = TypeVar("T", Output, Input, Serving)

Tables = dict[str, Any]


def read_card(file: Path, version: str = "") -> tuple[Input, Output, Serving]:
    """What the card says of a version, nothing if there is no such file. Raises `ModelError`."""
    tables = _read_toml(file) if file.exists() else {}
    for name, table in tables.items():
        if name not in (*_TABLES, *_SERVING, "versions") or (name in _TABLES and not isinstance(table, dict)):
            keys = ", ".join(_SERVING)
            raise ModelError(
                f"{file}: {name}: a card has the tables [input] and [output], [versions.X], and the keys {keys}"
            )
    own = _of_version(tables, version, file)
    given = _build(Input, own["input"], file, "input")
    output = _build(Output, _with_labels(own["output"], file), file, "output")
    serving = {key: value for key, value in tables.items() if key in _SERVING}
    return given, output, _build(Serving, serving, file, "")


def labels_paths(file: Path) -> list[Path]:
    """The files of labels that the card names. For a card that `read_card` takes."""
    tables = _read_toml(file) if file.exists() else {}
    outputs = [tables.get("output", {}), *(one.get("output", {}) for one in tables.get("versions", {}).values())]
    return [file.parent / output["labels_file"] for output in outputs if "labels_file" in output]


def _of_version(tables: Tables, version: str, file: Path) -> Tables:
    """The tables [input] and [output] with the keys of [versions.VERSION.input] and so on in place of theirs."""
    versions = tables.get("versions", {})
    for name, own in versions.items() if isinstance(versions, dict) else [("", None)]:
        if not isinstance(own, dict) or not all(isinstance(own.get(table, {}), dict) for table in own):
            raise ModelError(f"{file}: versions.{name}: must be tables, such as [versions.2.output]")
        if unknown := sorted(own.keys() - {*_TABLES}):
            raise ModelError(f"{file}: versions.{name}.{unknown[0]}: a version overrides [input] and [output] only")
    own = versions.get(version, {})
    return {table: {**tables.get(table, {}), **own.get(table, {})} for table in _TABLES}


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
    dot = f"{name}." if name else ""
    values: dict[str, Any] = {key: _convert(value, hints[key], f"{file}: {dot}{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ModelError(f"{file}: {f'[{name}]: ' if name else ''}{error}") from None


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
