"""The model card, and where a model lies.

A model is a `.onnx` file, or a folder `NAME/` that holds `model.toml` (which may be left out) and
`VERSION/model.onnx`. This file knows nothing about HTTP and runs no model.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from server.models.errors import ModelError
from server.models.input_spec import Input
from server.models.output_spec import Output
from server.models.serving import Serving
from server.models.toml_card import CARD_FILE, read_card

# What a reader of cards needs, whichever file it stands in; without numpy.
__all__ = [
    "CARD_FILE",
    "Card",
    "Input",
    "Located",
    "ModelError",
    "Output",
    "Serving",
    "default_version",
    "find_model",
    "versions_in",
]

MODEL_FILE = "model.onnx"
FIRST_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Name and version of a model, and what its card says about input, output and serving it beside others."""

    name: str
    version: str
    input: Input = field(default_factory=Input)
    output: Output = field(default_factory=Output)
    serving: Serving = field(default_factory=Serving)


@dataclass(frozen=True, slots=True)
class Located:
    """Where a model lies, and its card."""

    model_file: Path
    card: Card


def find_model(path: Path) -> Located:
    """Find the model at `path`: a `.onnx` file, `NAME/` (its card's default version, else the highest) or
    `NAME/VERSION/`.

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
    version = default_version(path) if folder == path else path.name
    given, output, serving = read_card(folder / CARD_FILE, version)
    card = Card(name=_text(folder.name), version=_text(version), input=given, output=output, serving=serving)
    return Located(folder / version / MODEL_FILE, card)


def default_version(folder: Path) -> str:
    """The version in `NAME/` that the card names, else the highest. Raises `ModelError`."""
    there = versions_in(folder)
    if not there:
        raise ModelError(f"{folder}: a model's folder must hold VERSION/{MODEL_FILE}, and this one has no version")
    named = read_card(folder / CARD_FILE)[2].default_version
    if named is None:
        return there[-1]
    if named not in there:
        raise ModelError(f"{folder / CARD_FILE}: default_version = {named!r}: there is {', '.join(there)}")
    return named


def versions_in(folder: Path) -> list[str]:
    """The versions in `NAME/`, the lowest first: 9 comes before 10."""
    return sorted((child.name for child in folder.iterdir() if (child / MODEL_FILE).is_file()), key=_natural)


def _single_file(path: Path) -> Located:
    if path.suffix.lower() != ".onnx":
        raise ModelError(f"{path}: a model must be a .onnx file or a folder, got a {path.suffix or 'nameless'} file")
    return Located(path, Card(name=_text(path.stem), version=FIRST_VERSION))


def _text(name: str) -> str:
    """A file's name as text that can be sent: a byte that is not UTF-8 becomes U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _natural(version: str) -> list[tuple[int, str]]:
    """A sort key that puts 10 above 9: runs of digits are numbers, and rank above letters."""
    parts = re.findall(r"\d+|\D+", version)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
