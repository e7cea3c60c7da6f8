"""How a model is rewritten, as a value and as the file `optimize.toml`: the same file makes the same model.

[rewrite]
precision = "int8"
kept = ["conv_3"]                     nodes left in float
[ranges]                              of every tensor that is quantised
"relu_1" = [0.0, 5.8125]
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from server.models.card_text import text_of
from server.optimize.errors import OptimizeError

FILE = "optimize.toml"
Precision = Literal["float", "int8", "dynamic-int8"]

_NAMES: dict[Precision, str] = {"float": "optimised graph", "int8": "static INT8", "dynamic-int8": "dynamic INT8"}


class Rewrite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`method`: how `ranges` were found. `seven_bits`: weights in 7 bits, for CPUs whose 8-bit products saturate.
    `kept`: nodes that stay in float. `pruned`: the share of each layer's weights, the smallest, that are zero.
    `ranges`: least and greatest value of each tensor, where they are fixed beforehand."""

    precision: Precision = "float"
    method: str = ""
    seven_bits: bool = False
    kept: tuple[str, ...] = ()
    pruned: float = 0.0
    ranges: Mapping[str, tuple[float, float]] = {}

    def __str__(self) -> str:
        parts = [_NAMES[self.precision], self.method, "7-bit weights" if self.seven_bits else ""]
        if self.kept:
            parts.append(f"{len(self.kept)} layer{'s' * (len(self.kept) > 1)} in float")
        if self.pruned:
            parts.append(f"{self.pruned:.0%} of weights zero")
        return ", ".join(filter(None, parts))

    @property
    def exact(self) -> bool:
        """Whether it answers as the original but for rounding."""
        return self.precision == "float" and not self.pruned


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Digests are SHA-256 in hex: of the original, of the result, and of the calibration pictures."""

    original: str
    result: str
    calibration: str
    versions: Mapping[str, str]
    rewrite: Rewrite


def dump(recorded: Recorded) -> str:
    """The file's text."""
    rewrite, lines = recorded.rewrite, ["# Written by `tureen optimize`, which makes the same model of it: --recipe."]
    lines += [f"{name} = {text_of(getattr(recorded, name))}" for name in ("original", "result", "calibration")]
    lines += ["", "[versions]", *(f"{name} = {text_of(value)}" for name, value in recorded.versions.items())]
    lines += ["", "[rewrite]"]
    lines += [
        f"{name} = {text_of(getattr(rewrite, name))}"
        for name in ("precision", "method", "seven_bits", "kept", "pruned")
    ]
    lines += ["", "[ranges]"]
    lines += [f"{text_of(name)} = {text_of(list(pair))}" for name, pair in sorted(rewrite.ranges.items())]
    return "\n".join(lines) + "\n"


def load(file: Path) -> Recorded:
    """What `dump` wrote. Raises `OptimizeError`."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        document["rewrite"]["ranges"] = document.pop("ranges")
        return msgspec.convert(document, Recorded)
    except OSError as error:
        raise OptimizeError(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:  # no TOML, or of another form
        raise OptimizeError(f"{file} is no {FILE} of tureen optimize: {error}") from None
