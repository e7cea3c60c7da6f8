"""Settings from a TOML file: a key per setting, in the table of its topic, and nothing else."""

import tomllib
from collections.abc import Iterator, Mapping

from server.settings.described import SETTINGS
from server.settings.errors import did_you_mean
from server.settings.layers import Given, Layer

_KEYS: Mapping[str, str] = {setting.key: name for name, setting in SETTINGS.items()}
_TABLES = {setting.table for setting in SETTINGS.values()} - {""}


def from_file(config: Given) -> Layer:
    """Read the file that `config` names."""
    try:
        with open(str(config.value), encoding="utf-8-sig") as file:  # Windows editors begin it with a mark
            document = tomllib.loads(file.read())
    except (OSError, ValueError) as error:  # ValueError: not TOML, not UTF-8, or no path
        rule = f"must be a TOML file that can be read; {error}"
        return Layer(problems=[f"config = {config.value!r} ({config.origin}): {rule}"])
    origin = f"in {config.value}"
    given = dict(_flattened(document))
    return Layer(
        {_KEYS[key]: Given(value, f"key {key} {origin}") for key, value in given.items() if key in _KEYS},
        [f"{key} (key {origin}): {_unknown(key)}" for key in given if key not in _KEYS],
    )


def _flattened(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Each key with its table, as `upload.max_pixels`."""
    for key, value in document.items():
        if key in _TABLES and isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _unknown(key: str) -> str:
    table, _, name = key.rpartition(".")
    if setting := SETTINGS.get(name):
        place = f"the table [{setting.table}]" if setting.table else "the top of the file"
        return f"belongs in {place}"
    if key in _TABLES:
        return f"is a table: [{key}]"
    return f"no such setting{did_you_mean(key, _KEYS if table else [*_KEYS, *SETTINGS])}"
