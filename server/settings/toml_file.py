"""What a TOML file says: a key for each setting, and none else."""

import tomllib

from server.settings.described import SETTINGS
from server.settings.errors import did_you_mean
from server.settings.layers import Given, Layer


def from_file(config: Given) -> Layer:
    """What the file says that `config` names."""
    try:
        with open(str(config.value), encoding="utf-8-sig") as file:  # Windows editors begin it with a mark
            table = tomllib.loads(file.read())
    except (OSError, ValueError) as error:  # ValueError: not TOML, not UTF-8, or no path
        rule = f"must be a TOML file that can be read; {error}"
        return Layer(problems=[f"config = {config.value!r} ({config.origin}): {rule}"])
    origin = f"in {config.value}"
    return Layer(
        {key: Given(value, f"key {key} {origin}") for key, value in table.items() if key in SETTINGS},
        [f"{key} (key {origin}): no such setting{did_you_mean(key, SETTINGS)}" for key in table if key not in SETTINGS],
    )
