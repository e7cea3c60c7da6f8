"""The model in ONNX Runtime: loaded, warmed, timed, run. The only file that knows ONNX Runtime."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import xxhash
from numpy.typing import NDArray

from batcher import Profile
from preprocess.recipe import Recipe
from server.inference.card import Card, ModelError, recipe_from_input

_PROVIDER = "CPUExecutionProvider"
_TIMED_RUNS = 2  # of each batch size, after one that is not timed
_WARM_UP_S = 1.0  # no further batch size is begun after this
_GAIN = 0.95  # a larger batch is tried as long as it takes less than this of the time an image

Rows = NDArray[np.float32]


class OutputError(Exception):
    """The model's output cannot be what was asked for: a wrong number of rows, or no rows at all."""


@dataclass(frozen=True, slots=True)
class Warmth:
    """What warming up showed."""

    profile: Profile
    probabilities: bool
    """Whether the output sums to 1 over the classes already."""


class Session:
    """One model, one thread. `slots` is the batch: filled slot by slot, then run from the first."""

    def __init__(self, model_file: Path, card: Card, max_batch: int) -> None:
        """Raises `ModelError` if ONNX Runtime or Tureen cannot serve this model."""
        self._session = _open(model_file)
        given = self._only_input()
        self.recipe: Recipe = card.recipe or recipe_from_input(given.shape, given.type)
        self.provider: str = self._session.get_providers()[0]
        self.max_batch = given.shape[0] if isinstance(given.shape[0], int) else max_batch
        if self.max_batch != max_batch and self.max_batch != 1:
            raise ModelError(f"the batch dimension is fixed to {self.max_batch}; it must be free, or 1")
        self.input = f"{given.name} {list(given.shape)} {given.type}"
        self.slots = np.zeros((self.max_batch, *self.recipe.shape), self.recipe.dtype)
        self._input_name = given.name
        self._output_names = [self._session.get_outputs()[0].name]

    def run(self, count: int) -> Rows:
        """The output rows of the first `count` slots: float32, shape (count, classes).

        Raises `OutputError`, or whatever ONNX Runtime raises if the model fails.
        """
        (output,) = self._session.run(self._output_names, {self._input_name: self.slots[:count]})
        if not isinstance(output, np.ndarray) or output.shape[:1] != (count,):
            raise OutputError(f"{count} images gave an output of shape {getattr(output, 'shape', None)}")
        return output.reshape(count, -1).astype(np.float32, copy=False)

    def warm_up(self) -> Warmth:
        """Run and time batch sizes 1, 2, 4, ... while a larger one still gains. Raises `ModelError`."""
        self.slots[:] = _noise(self.slots.shape).astype(self.slots.dtype)
        try:
            probabilities = _sums_to_one(self.run(1))
            profile = self._measure()
        except Exception as error:  # the model is a stranger's: whatever it raises means the same
            raise ModelError(f"it does not run: {error}") from error
        finally:
            self.slots[:] = 0
        return Warmth(profile, probabilities)

    def _measure(self) -> Profile:
        profile = Profile()
        stop = time.monotonic() + _WARM_UP_S
        size, each = 1, float("inf")
        while size <= self.max_batch and time.monotonic() < stop:
            seconds = self._time(size)
            profile.observe(size, seconds)
            if seconds / size > each * _GAIN:
                break
            size, each = size * 2, seconds / size
        return profile

    def _time(self, size: int) -> float:
        """The shortest of a few runs: whatever disturbs a run makes it longer."""
        self.run(size)
        times = []
        for _ in range(_TIMED_RUNS):
            started = time.monotonic()
            self.run(size)
            times.append(time.monotonic() - started)
        return min(times)

    def _only_input(self) -> ort.NodeArg:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ModelError(f"it has {len(inputs)} inputs; needed is one, the image")
        return inputs[0]


def digest(model_file: Path) -> str:
    """XXH3-128 of the file, hex."""
    state = xxhash.xxh3_128()
    with model_file.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()


def _open(model_file: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # as many workers as cores: threads would only fight for them
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(model_file), options, providers=[_PROVIDER])
    except Exception as error:  # ONNX Runtime's exceptions share no base class but this
        raise ModelError(f"ONNX Runtime cannot load it: {error}") from error


def _noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def _sums_to_one(rows: Rows) -> bool:
    return bool((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1.0, atol=1e-3))
