"""From one image's output to the members it adds to the response, as JSON."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.models.errors import OutputError
from server.models.output_spec import MAX_RAW_BYTES, Activation, Output

_DIGITS = 6  # of a class's score, which is at most 1 as a rule
_LEAST_BYTES = 2  # of a number and what separates it from the next
_SIGNIFICANT = 7  # of a single score, whose size nobody knows: what float32 holds

Row = Sequence[NDArray[Any]]  # one image's outputs, without the batch
Answerer = Callable[[Row], bytes]
"""Gives the members, without the braces around them. Raises `OutputError` where they would be too large."""


def answerer(output: Output) -> Answerer:
    """What renders rows for a resolved output."""
    match output.kind:
        case "classes":
            return _Classes(output).members
        case "score":
            return _Score(output).members
        case _:
            return _Raw(output).members


def as_answered(output: Output, row: Row) -> Row:
    """One image's values as its answer has them before they are rounded. `output` is resolved."""
    if output.kind == "raw":
        return row
    return [_ACTIVATIONS[output.activation](row[0].reshape(-1).astype(np.float32, copy=False))]


class _Classes:
    """`"predictions":[...]` and, where the card has them, `"score"` and `"tip"` of the best label."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def members(self, row: Row) -> bytes:
        (values,) = as_answered(self._output, row)
        ranked = np.argsort(-values, kind="stable")[: self._output.top_k]
        members: dict[str, object] = {
            "predictions": [
                {"label": self._label(index), "score": round(float(values[index]), _DIGITS)}
                for index in ranked.tolist()
            ]
        }
        best = int(ranked[0])
        if self._output.scores:
            members["score"] = self._output.scores[best]
        if self._output.tips:
            members["tip"] = self._output.tips[best]
        return _json(members)

    def _label(self, index: int) -> str:
        return self._output.labels[index] if self._output.labels else str(index)


class _Score:
    """`"score"` and, where the card has them, `"label"` and `"tip"` of the level it reaches."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def members(self, row: Row) -> bytes:
        value = float(as_answered(self._output, row)[0][0])
        level = bisect_right(self._output.thresholds or (), value)
        members: dict[str, object] = {"score": float(f"{value:.{_SIGNIFICANT}g}")}
        if self._output.labels:
            members["label"] = self._output.labels[level]
        if self._output.tips:
            members["tip"] = self._output.tips[level]
        return _json(members)


class _Raw:
    """`"outputs":{name: nested lists}`, each number as the model gave it. Raises `OutputError` for too many."""

    def __init__(self, output: Output) -> None:
        self._names = output.names or ()
        self._most = output.max_bytes or MAX_RAW_BYTES

    def members(self, row: Row) -> bytes:
        values = sum(one.size for one in row)
        if values * _LEAST_BYTES > self._most:  # before there are so many Python numbers
            raise OutputError(f"the output has {values:,} values for this image: over {self._most:,} bytes of JSON")
        members = _json({"outputs": {name: one.tolist() for name, one in zip(self._names, row, strict=True)}})
        if len(members) > self._most:
            raise OutputError(f"the output is {len(members):,} bytes of JSON for this image; at most {self._most:,}")
        return members


def _json(members: dict[str, object]) -> bytes:
    return msgspec.json.encode(members)[1:-1]


def _same(row: NDArray[np.float32]) -> NDArray[np.float32]:
    return row


def _softmax(row: NDArray[np.float32]) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = np.exp(row - row.max())
    powers /= powers.sum()
    return powers


def _sigmoid(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """By the hyperbolic tangent, which does not overflow."""
    halves: NDArray[np.float32] = np.tanh(row * np.float32(0.5))
    halves *= np.float32(0.5)
    halves += np.float32(0.5)
    return halves


_ACTIVATIONS: dict[Activation, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "none": _same,
    "softmax": _softmax,
    "sigmoid": _sigmoid,
}
