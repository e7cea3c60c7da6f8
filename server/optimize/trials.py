"""Forms of one model made and compared with the original, on pictures that are prepared once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.inference.warmup import look
from server.models.card import Located
from server.models.render import Row
from server.optimize.agreement import Agreement, Compared, compare, error_of, summary
from server.optimize.answers import BATCH, Answers, rows
from server.optimize.graph import Prepared
from server.optimize.pictures import Picture, Pictures
from server.optimize.quantise import rewritten
from server.optimize.rewrite import Rewrite


@dataclass(frozen=True, slots=True)
class Trial:
    """A form of the model beside the original, on the calibration pictures."""

    file: Path
    agreement: Agreement
    error: float


class Trials:
    """Its state: the calibration pictures as they are prepared, and what the original makes of them."""

    def __init__(self, located: Located, prepared: Prepared, work: Path) -> None:
        """Raises `ModelError` if the original cannot be served."""
        self.answers = Answers(located)
        self._prepared = prepared
        self._work = work
        self._count = 0
        self._images: list[tuple[str, str]] = []
        self._slots: NDArray[Any] = self.answers.model.session.slots[:0].copy()
        self._rows: list[Row] = []

    @property
    def batch(self) -> int:
        """How many pictures are calibrated together."""
        return self.answers.model.session.fixed or min(BATCH, self.answers.model.session.max_batch)

    @property
    def count(self) -> int:
        """Calibration pictures that are prepared."""
        return len(self._slots)

    def see(self, pictures: Pictures, chosen: Sequence[Picture]) -> None:
        """Prepare the calibration pictures, as many as memory is given for. Raises what reading them raises."""
        parts: list[NDArray[Any]] = []
        for held, slots in self.answers.batches(pictures, chosen[: self.answers.most_kept]):
            self._images += [(picture.name, picture.source) for picture in held]
            parts.append(slots.copy())
        if parts:
            self._slots = np.concatenate(parts)
            self._rows = rows(self.answers.model.session, self._slots)

    def inputs(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """The calibration pictures as the model's inputs, without a last batch that is too small for the model."""
        session, size = self.answers.model.session, self.batch
        for start in range(0, len(self._slots), size):
            batch = self._slots[start : start + size]
            if len(batch) == size or not session.fixed:
                yield session.inputs_of(batch)

    def try_(self, rewrite: Rewrite) -> Trial:
        """Make a form of the model and compare. Raises `OptimizeError`, `ModelError`."""
        file = rewritten(self._prepared, rewrite, self._next())
        after = rows(self.answers.open(file), self._slots)
        found = compare(self._images, self._rows, after, self.answers.model.output)
        return Trial(file, summary(found), error_of(self._rows, after))

    def error_of_layer(self, rewrite: Rewrite, layer: str, count: int) -> float:
        """The error with this layer alone in INT8, on the first `count` pictures. Raises as `try_`."""
        file = rewritten(self._prepared, rewrite, self._next(), [layer])
        try:
            return error_of(self._rows[:count], rows(self.answers.open(file), self._slots[:count]))
        finally:
            file.unlink()

    def on_built_in(self, file: Path) -> tuple[list[Row], list[Row]]:
        """What the original and a form of it make of the pictures of warming up. Raises `ModelError`."""
        before: list[Row] = [[part[0] for part in each] for each in look(self.answers.model.session)]
        after: list[Row] = [[part[0] for part in each] for each in look(self.answers.open(file))]
        return before, after

    def compare_on(
        self, pictures: Pictures, chosen: Sequence[Picture], file: Path, told: Callable[[], None]
    ) -> list[Compared]:
        """Compare on other pictures. Raises `ModelError`, and what reading them raises."""
        session, before, after, images = self.answers.open(file), list[Row](), list[Row](), list[tuple[str, str]]()
        for held, slots in self.answers.batches(pictures, chosen):
            images += [(picture.name, picture.source) for picture in held]
            before += rows(self.answers.model.session, slots)
            after += rows(session, slots)
            told()
        return compare(images, before, after, self.answers.model.output)

    def _next(self) -> Path:
        self._count += 1
        return self._work / f"form-{self._count}.onnx"
