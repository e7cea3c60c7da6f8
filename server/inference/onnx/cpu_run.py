"""A batch through the model on a CPU: ONNX Runtime reads the slots where they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from server.inference.onnx.feed import Feed
from server.inference.onnx.slab import Slab


class PlainRun:
    """The model reads slots, which hold what it takes."""

    way = ""

    def __init__(self, session: ort.InferenceSession, feed: Feed, outputs: Sequence[str], slab: Slab) -> None:
        self.slots = slab.slots
        self._session = session
        self._feed = feed
        self._outputs = list(outputs)
        self._slab = slab

    def run(self, slots: Sequence[int], size: int) -> list[Any]:
        """The outputs of a batch of `size` that begins with these slots. Raises what ONNX Runtime raises."""
        batch: NDArray[np.generic] = self._slab.rows(slots, size)
        return list(self._session.run(self._outputs, self._feed.inputs(batch)))

    def limit(self, size: int) -> None:
        """No larger batch will come."""

    def take_whole(self) -> None:
        """Outputs may be of any shape, as they may here."""
