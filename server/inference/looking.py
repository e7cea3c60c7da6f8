"""Looking at a sample of the images and their answers, for drift. The cost is bounded by a share of the work."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from preprocess.decode import Picture
from preprocess.header import read_header
from preprocess.limits import Limits
from server.drift.features import input_features, output_features
from server.models.output_spec import Output

SHARE = 0.008  # of the time that decoding and the model take: under 1 % of it, with what is added to frames

Features = tuple[float, ...]


class Looker:
    """Its state: the seconds `_worked` and `_spent`, and what a look took last (`_look_s`).

    Threads that decode side by side may both find a look due: the cost is bounded all the same, one look later.
    """

    def __init__(self, output: Output, limits: Limits, cpu_s: Callable[[], float] = time.thread_time) -> None:
        """`output` is resolved. `cpu_s`: seconds of CPU that this thread has used."""
        self._output = output
        self._limits = limits
        self._cpu_s = cpu_s
        self._worked = self._spent = self._look_s = 0.0

    def worked(self, seconds: float) -> None:
        """So long went into images."""
        self._worked += seconds

    @property
    def due(self) -> bool:
        """Whether the next image may be looked at."""
        return self._spent + self._look_s <= SHARE * self._worked

    def inputs(self, payload: bytes, picture: Picture) -> Features:
        """The features of a decoded image. `payload`: as it was sent."""
        begun = self._cpu_s()
        pixels = read_header(payload, self._limits).pixels
        found = input_features(picture.image, pixels, sideways=picture.sideways)
        self._look_s = self._cpu_s() - begun
        self._spent += self._look_s
        return found

    def whole(self, inputs: Features, row: Sequence[NDArray[Any]]) -> Features:
        """Those of the image and of its answer."""
        begun = self._cpu_s()
        found = inputs + output_features(row, self._output)
        self._spent += self._cpu_s() - begun
        return found
