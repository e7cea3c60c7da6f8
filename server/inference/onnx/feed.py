"""What a model's inputs are given: the images, and constants beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from server.models.constants import Constant


class Feed:
    """The inputs of one model. One thread uses it."""

    # The whole state: `_made`, the constants for each batch size so far.

    def __init__(self, image: str, constants: Sequence[Constant], *, bare: bool) -> None:
        """`image`: the name of its input. `bare`: it takes one image, without a batch dimension."""
        self.image = image
        self._constants = constants
        self._bare = bare
        self._made: dict[int, Mapping[str, NDArray[Any]]] = {}

    def inputs(self, batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """All inputs for a batch of images."""
        return {self.image: batch[0] if self._bare else batch, **self.constants(len(batch))}

    def constants(self, size: int) -> Mapping[str, NDArray[Any]]:
        """The other inputs for a batch of `size` images."""
        if size not in self._made:
            self._made[size] = {each.name: each.for_batch(size) for each in self._constants}
        return self._made[size]
