"""A card as text: what `server.models.toml_card` reads, written so that it reads the same."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from preprocess.recipe import Recipe
from server.models.output_spec import Output

_LONG = 100  # characters, from which a list is written with one entry a line


def card_text(recipe: Recipe, output: Output, constants: Mapping[str, Any] | None = None) -> str:
    """The card that says exactly this. What is None is left out."""
    values = [f"{text_of(name)} = {text_of(value)}" for name, value in (constants or {}).items()]
    table = ["", "[input.constants]", *values] if values else []
    return "\n".join(["[input]", *_lines(recipe), *table, "", "[output]", *_lines(output), ""])


def _lines(values: Recipe | Output) -> Iterator[str]:
    for field in fields(values):
        value = getattr(values, field.name)
        if value is not None:
            yield f"{field.name} = {text_of(value)}"


def text_of(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return _list([text_of(one) for one in value])
    return repr(value) if isinstance(value, int | float) else _string(str(value))


def _list(entries: list[str]) -> str:
    line = f"[{', '.join(entries)}]"
    return line if len(line) <= _LONG else "\n".join(["[", *(f"    {entry}," for entry in entries), "]"])


def _string(text: str) -> str:
    """A JSON string is a TOML string, but for control characters from DEL up, which JSON leaves as they are."""
    letters = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in letters)
