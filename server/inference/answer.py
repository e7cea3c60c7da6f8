"""From a model's output row to the members it adds to the response, as JSON."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.inference.card import Output

_DIGITS = 6  # of a score: what float32 holds


class Answerer:
    """Renders rows as the model card says."""

    def __init__(self, output: Output, probabilities: bool) -> None:
        """`probabilities`: the model's rows sum to 1 already, so that activation "auto" leaves them alone."""
        self._output = output
        self._softmax = output.activation == "softmax" or (output.activation == "auto" and not probabilities)

    def members(self, row: NDArray[np.float32]) -> bytes:
        """`"predictions":[...]` and, where the card has them, `"score"` and `"tip"` of the best label.

        `row`: float32, one value a class, finite.
        """
        values = _softmax(row) if self._softmax else row
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
        return msgspec.json.encode(members)[1:-1]

    def _label(self, index: int) -> str:
        return self._output.labels[index] if self._output.labels else str(index)


def _softmax(row: NDArray[np.float32]) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = np.exp(row - row.max())
    powers /= powers.sum()
    return powers
