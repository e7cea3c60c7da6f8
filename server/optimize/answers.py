"""The answers of a model and of its rewritten forms to the same prepared pictures. One thread."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.errors import ImageError
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.model import Model, open_model
from server.inference.onnx.session import Session
from server.models.card import Card, Located
from server.models.errors import ModelError, in_one_line
from server.models.render import Row
from server.optimize.pictures import Picture, Pictures
from server.process.cpus import usable_cpus

BATCH = 8
_MOST_BYTES = 1 << 28  # of prepared pictures that are kept


class Answers:
    """Opens the original once. Its state: `model`, the original; `skipped`, pictures that no decoder reads."""

    def __init__(self, located: Located) -> None:
        """Raises `ModelError` if the original cannot be served."""
        self.model: Model = open_model(located, BATCH, threads=usable_cpus())
        self.skipped: list[str] = []

    @property
    def card(self) -> Card:
        """The original's, with nothing about the output left open."""
        return replace(self.model.card, output=self.model.output)

    @property
    def input_name(self) -> str:
        """Of the picture's input."""
        return self.model.session.input.name

    @property
    def most_kept(self) -> int:
        """How many prepared pictures fit into the memory that is given to them."""
        slot = self.model.session.slots[0]
        return max(1, _MOST_BYTES // max(1, int(slot.nbytes)))

    def open(self, file: Path) -> Session:
        """A rewritten model, run as the original is. Raises `ModelError`."""
        original = self.model.session
        session = Session(file, self.card, BATCH, threads=usable_cpus())
        if [(one.name, one.type, one.shape) for one in session.signature.inputs] != [
            (one.name, one.type, one.shape) for one in original.signature.inputs
        ]:
            raise ModelError("its inputs are not the original's any more")
        if original.whole:
            session.take_whole()
        elif self.model.separate:
            session.run_one_at_a_time()
        return session

    def batches(
        self, pictures: Pictures, chosen: Sequence[Picture], size: int = BATCH
    ) -> Iterator[tuple[list[Picture], NDArray[Any]]]:
        """The pictures prepared as the card says, at most `size` together; those that cannot be read are left out."""
        slots = np.zeros((size, *self.model.session.slots[0].shape), self.model.session.slots.dtype)
        held: list[Picture] = []
        for picture in chosen:
            try:
                prepare(pictures.get(picture.name), self.model.session.slot_recipe, slots[len(held)], Limits())
            except ImageError:
                self.skipped.append(picture.name)
                continue
            held.append(picture)
            if len(held) == size:
                yield held, slots
                held = []
        if held:
            yield held, slots[: len(held)]


def rows(session: Session, prepared: NDArray[Any]) -> list[Row]:
    """What a model makes of prepared pictures. Raises `ModelError`."""
    found: list[Row] = []
    size = min(session.max_batch, len(session.slots))
    try:
        for start in range(0, len(prepared), size):
            batch = prepared[start : start + size]
            session.slots[: len(batch)] = batch
            outputs = session.run(range(len(batch)))
            found += [[np.array(part[number]) for part in outputs] for number in range(len(batch))]
    except Exception as error:  # the model is a stranger's: whatever it raises means the same
        raise ModelError(f"it does not run: {in_one_line(error)}") from error
    return found
