"""A card as text: what `server.models.toml_card` reads, written so that it reads the same."""

import json
from collections.abc import Iterator
from dataclasses import fields

from preprocess.recipe import Recipe
from server.models.output_spec import Output

_LONG = 100  # characters, from which a list is written with one entry a line


def card_text(recipe: Recipe, output: Output) -> str:
    """The card that says exactly this. What is None is left out."""
    return "\n".join(["[input]", *_lines(recipe), "", "[output]", *_lines(output), ""])


def _lines(values: Recipe | Output) -> Iterator[str]:
    for field in fields(values):
        value = getattr(values, field.name)
        if value is not None:
            yield f"{field.name} = {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return _list([_value(one) for one in value])
    return repr(value) if isinstance(value, int | float) else _string(str(value))


def _list(entries: list[str]) -> str:
    line = f"[{', '.join(entries)}]"
    return line if len(line) <= _LONG else "\n".join(["[", *(f"    {entry}," for entry in entries), "]"])


def _string(text: str) -> str:
    """A JSON string is a TOML string, but for one control character, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
