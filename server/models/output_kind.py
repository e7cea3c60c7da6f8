"""How a model is served: what its card leaves open, decided by what warming up showed. Pure.

The rules, which docs/models.md tells users:

- Several outputs, and none named, are raw, and so is one whose shape differs from picture to picture. One of floats is
  a score if it has one value per image, classes if its values stand in one row, raw otherwise.
- Classes are probabilities already if they are not negative and sum to 1, within 0.001, for each of several
  very different pictures. Otherwise they go through softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from server.models.errors import ModelError
from server.models.output_spec import MAX_RAW_BYTES, Activation, Kind, Output
from server.models.toml_card import CARD_FILE


@dataclass(frozen=True, slots=True)
class Seen:
    """One output as it came out of the model. `shape` is one image's, without the batch."""

    name: str
    shape: tuple[int, ...]
    floating: bool
    probabilities: bool
    """Whether the values of each picture were probabilities."""
    varies: bool = False
    """Whether its shape differs from picture to picture, or is empty where the model leaves a dimension free."""
    json_bytes: int = 0
    """Of one picture's values as JSON."""

    @property
    def values(self) -> int:
        return prod(self.shape)

    @property
    def in_one_row(self) -> bool:
        return self.values > 1 and max(self.shape) == self.values and not self.varies


def resolve(asked: Output, seen: Sequence[Seen]) -> Output:
    """`asked` with kind, names and activation decided. Raises `ModelError` if the outputs do not fit it.

    Resolving the result once more changes nothing.
    """
    for one in seen:
        if not one.values and not one.varies:
            raise ModelError(f"the output {one.name!r} is empty: its shape for one image is {list(one.shape)}")
    kind = asked.kind or _kind(seen)
    activation = _CHECKS[kind](asked, seen)
    if asked.activation != "auto":
        activation = asked.activation
    known: dict[str, Any] = {"kind": kind, "activation": activation, "names": tuple(o.name for o in seen)}
    try:
        return replace(asked, **known)
    except ValueError as error:
        raise ModelError(f"[output] of {CARD_FILE}: {error}") from None


def describe(output: Output, seen: Sequence[Seen]) -> str:
    """A resolved output in a few words."""
    match output.kind:
        case "classes":
            best = min(output.top_k, seen[0].values)
            return f"{seen[0].values} classes ({_activation(output, seen[0])}), top {best}"
        case "score":
            levels = f", {len(output.labels)} levels" if output.labels else ""
            return f"one score ({_activation(output, seen[0])}){levels}"
        case _:
            return "raw: " + ", ".join(f"{one.name} {_shape(one)}" for one in seen)


def _shape(one: Seen) -> str:
    return f"{list(one.shape)}{' (varies)' if one.varies else ''}"


def _activation(output: Output, seen: Seen) -> str:
    if output.activation != "none":
        return output.activation
    return "already probabilities" if seen.probabilities and output.kind == "classes" else "as the model gives it"


def _kind(seen: Sequence[Seen]) -> Kind:
    if len(seen) > 1 or not seen[0].floating or seen[0].varies:
        return "raw"
    if seen[0].values == 1:
        return "score"
    return "classes" if seen[0].in_one_row else "raw"


def _classes(asked: Output, seen: Sequence[Seen]) -> Activation:
    one = seen[0]
    if not one.in_one_row or not one.floating:
        raise ModelError(
            f"the output {one.name!r} is {_found(one)} per image; classes need one row of floating-point numbers"
        )
    if asked.labels is not None and len(asked.labels) != one.values:
        raise ModelError(f"the card has {len(asked.labels)} labels; the output {one.name!r} has {one.values} classes")
    return "none" if one.probabilities else "softmax"


def _score(asked: Output, seen: Sequence[Seen]) -> Activation:
    if seen[0].values != 1:
        raise ModelError(f"the output {seen[0].name!r} is {_found(seen[0])} per image; a score is one value per image")
    return "none"


def _raw(asked: Output, seen: Sequence[Seen]) -> Activation:
    most, size = asked.max_bytes or MAX_RAW_BYTES, sum(one.json_bytes for one in seen)
    if size > most:
        sizes = ", ".join(f"{one.name} {list(one.shape)}" for one in seen)
        raise ModelError(
            f"raw outputs are {size:,} bytes of JSON per image ({sizes}); at most {most:,} are answered: choose outputs"
            f" with names in the [output] of {CARD_FILE}, reduce them in the model, or raise max_bytes in the [output]"
        )
    return "none"


def _found(one: Seen) -> str:
    return f"{'floats' if one.floating else 'whole numbers'} of shape {list(one.shape)}"


_CHECKS = {"classes": _classes, "score": _score, "raw": _raw}
