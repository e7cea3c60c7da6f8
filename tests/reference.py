"""What an image's answer must be: its tensor, alone, through a plain session. No batch, no server."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.models.card import find_model
from server.models.signature import recipe_from_input


class Reference:
    """One model, one image at a time."""

    def __init__(self, model: Path) -> None:
        located = find_model(model)
        self._session = ort.InferenceSession(str(located.model_file), providers=["CPUExecutionProvider"])
        given = self._session.get_inputs()[0]
        self._recipe = recipe_from_input(given.shape, given.type, located.card.input)
        self._labels = located.card.output.labels
        self._name = given.name
        self._batch = given.shape[0] if isinstance(given.shape[0], int) else 1

    def outputs(self, image: bytes) -> dict[str, np.ndarray]:
        """All outputs for this image. A model with a fixed batch gets as many copies of it."""
        tensor = np.empty((self._batch, *self._recipe.shape), self._recipe.dtype)
        prepare(image, self._recipe, tensor[0], Limits())
        tensor[1:] = tensor[0]
        rows = self._session.run(None, {self._name: tensor})
        return {one.name: row[0] for one, row in zip(self._session.get_outputs(), rows, strict=True)}

    def row(self, image: bytes) -> np.ndarray:
        """The first output's row."""
        return next(iter(self.outputs(image).values()))

    def scores(self, image: bytes) -> dict[str, float]:
        """Label -> score, all of them; softmax where the rows are not probabilities."""
        row = self.row(image).astype(np.float64)
        if row.min() < 0 or abs(row.sum() - 1) > 1e-3:
            row = np.exp(row) / np.exp(row).sum()
        return {self._label(index): float(score) for index, score in enumerate(row)}

    def agrees(self, image: bytes, answer: dict, within: float = 1e-4) -> bool:
        """Whether an answer's predictions are this image's, best first."""
        expected = self.scores(image)
        got = answer["predictions"]
        best = sorted(expected.values(), reverse=True)[: len(got)]
        right = all(abs(one["score"] - expected[one["label"]]) <= within for one in got)
        return right and np.allclose([one["score"] for one in got], best, atol=within)

    def _label(self, index: int) -> str:
        return self._labels[index] if self._labels else str(index)
