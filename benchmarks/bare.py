"""The roof's process: decode and model with no server around. `python -m benchmarks.bare MODEL PICTURE...`

It does what a worker must do for an image and nothing else: the same `prepare` into the same kind of slot,
the same thread settings of ONNX Runtime. It is written apart from the server's worker, so that a cost which
creeps in there shows as a difference.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.child import Message, answer_each
from benchmarks.machine import own_cpu_s
from preprocess.limits import Limits
from preprocess.recipe import Recipe
from preprocess.tensor import prepare
from server.models.card import find_model
from server.models.signature import recipe_from_input

_BATCHES = (1, 8)
_NICENESS = 5  # as the server's workers are, so that a neighbour disturbs both alike


class Bare:
    """The model at `path`, fed with `pictures` in turn."""

    def __init__(self, path: Path, pictures: list[bytes]) -> None:
        found = find_model(path)
        self._session = bare_session(found.model_file)
        given = self._session.get_inputs()[0]
        self._input, self._outputs = given.name, [self._session.get_outputs()[0].name]
        self._recipe: Recipe = recipe_from_input(given.shape, given.type, found.card.input)
        self.batches = (given.shape[0],) if isinstance(given.shape[0], int) else _BATCHES
        self._slots = np.zeros((max(self.batches), *self._recipe.shape), self._recipe.dtype)
        self._limits = Limits()
        self._pictures = cycle(pictures)

    def run(self, start: float, seconds: float, batch: int) -> Message:
        """Work from `start` (seconds of the monotonic clock) for `seconds`, to the end of the last batch."""
        time.sleep(max(0.0, start - time.monotonic()))
        cpu, begun = own_cpu_s(), time.monotonic()
        ends = [begun]
        while ends[-1] < begun + seconds:
            self.batch(batch)
            ends.append(time.monotonic())
        return {
            "images": batch * (len(ends) - 1),
            "wall_s": ends[-1] - begun,
            "cpu_s": own_cpu_s() - cpu,
            "p50_s": statistics.median(np.diff(ends).tolist()),
        }

    def batch(self, size: int) -> NDArray[np.float32]:
        """Decode `size` pictures, run the model on them, give its rows. Raises ValueError if one is not finite."""
        for slot in self._slots[:size]:
            prepare(next(self._pictures), self._recipe, slot, self._limits)
        (rows,) = self._session.run(self._outputs, {self._input: self._slots[:size]})
        if not np.isfinite(rows).all():
            raise ValueError("the model's output is not finite")
        return rows


def top_labels(path: Path, pictures: list[bytes]) -> list[str]:
    """The right top label of each picture, by its index: what a server that is measured has to answer."""
    bare, labels = Bare(path, pictures), []
    for _ in pictures:
        labels.append(str(int(bare.batch(1)[0].argmax())))
    return labels


def bare_session(model_file: Path) -> ort.InferenceSession:
    """One thread, no spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])


def main(argv: list[str]) -> int:
    os.nice(_NICENESS)
    bare = Bare(Path(argv[0]), [Path(name).read_bytes() for name in argv[1:]])
    for size in bare.batches:  # the first run of a size is slower
        bare.batch(size)
    answer_each(bare.run, {"batches": bare.batches})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
