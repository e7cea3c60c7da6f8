"""What a model's output means, as a card says it. Values and their rules only; `server.models.output_kind`
fills in what a card leaves open."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["classes", "score", "raw"]
Activation = Literal["auto", "none", "softmax", "sigmoid"]

MAX_RAW_BYTES = 16_777_216  # of JSON: enough for 700,000 numbers of float32

_FOREIGN: dict[Kind, tuple[str, ...]] = {  # what would be without effect
    "classes": ("thresholds", "max_bytes"),
    "score": ("scores", "max_bytes"),
    "raw": ("labels", "scores", "tips", "thresholds"),
}
_ACTIVATIONS: dict[Kind, tuple[Activation, ...]] = {
    "classes": ("auto", "none", "softmax", "sigmoid"),
    "score": ("auto", "none", "sigmoid"),
    "raw": ("auto", "none"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the model's output means.

    `kind`: `classes`, one value a class; `score`, one value; `raw`, passed on as it is. None: read off the
    model. `names`: which of the model's outputs; None: its only one, or for `raw` all of them.

    `activation`: what is left to do to the values. `auto` for classes: softmax where they are not
    probabilities already; for the others: nothing.

    `labels`, `scores` and `tips` have one entry a class, in the model's order. Where the output is one score
    they have one entry a level, from the lowest up, and `thresholds` are the scores at which the next level
    begins. `top_k`: how many of the best classes an answer names.

    `max_bytes`: of the JSON of raw outputs, per image; None is `MAX_RAW_BYTES`.

    Raises ValueError for a field that breaks its rule.
    """

    kind: Kind | None = None
    names: tuple[str, ...] | None = None
    activation: Activation = "auto"
    labels: tuple[str, ...] | None = None
    scores: tuple[float, ...] | None = None
    tips: tuple[str, ...] | None = None
    thresholds: tuple[float, ...] | None = None
    top_k: int = 5
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k must be >= 1, got {self.top_k}")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(f"max_bytes must be >= 1, got {self.max_bytes}")
        if self.names is not None and (not self.names or len({*self.names}) < len(self.names)):
            raise ValueError(f"names must be names of the model's outputs, each once, got {list(self.names)}")
        self._check_labels()
        if self.kind:
            self._check_kind(self.kind)

    def _check_labels(self) -> None:
        count = None if self.labels is None else len(self.labels)
        if count == 0:
            raise ValueError("labels must not be empty")
        for name, values in (("scores", self.scores), ("tips", self.tips)):
            if values is not None and len(values) != count:
                raise ValueError(f"{name} must have one entry per label: {len(values)} for {count or 'no'} labels")
        if not _finite(self.scores):
            raise ValueError(f"scores must be finite, got {self.scores}")

    def _check_kind(self, kind: Kind) -> None:
        for name in _FOREIGN[kind]:
            if getattr(self, name) is not None:
                raise ValueError(f"{name} have no effect if the output is {_called(kind)}")
        if self.activation not in _ACTIVATIONS[kind]:
            choices = ", ".join(_ACTIVATIONS[kind])
            raise ValueError(
                f"activation must be one of {choices} where the output is {_called(kind)}, got {self.activation!r}"
            )
        if kind != "raw" and self.names is not None and len(self.names) > 1:
            raise ValueError(f"names must be one where the output is {_called(kind)}, got {list(self.names)}")
        if kind == "score":
            self._check_thresholds()

    def _check_thresholds(self) -> None:
        needed = len(self.labels or ("",)) - 1
        given = self.thresholds or ()
        if len(given) != needed or not _finite(given) or any(low >= high for low, high in pairwise(given)):
            raise ValueError(
                f"thresholds must be {needed} finite numbers that rise, one fewer than labels, got {list(given)}"
            )


def _finite(values: Sequence[float] | None) -> bool:
    return all(map(math.isfinite, values or ()))


def _called(kind: Kind) -> str:
    return "one score" if kind == "score" else kind
