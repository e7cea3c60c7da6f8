"""The slots: what images are decoded into, in one piece of memory, and batches taken out of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.recipe import Recipe


class Slab:
    """`slots`, and behind them room to gather a batch that does not lie in a row."""

    def __init__(self, count: int, largest: int, recipe: Recipe) -> None:
        """`count`: slots. `largest`: rows of the largest batch."""
        self.memory = np.zeros((count + largest, *recipe.shape), recipe.dtype)
        self.slots = self.memory[:count]
        self._gathered = self.memory[count:]
        self.clean = False
        """Whether a batch that is filled up is filled up with zeros, not with what stands in slots beside it."""

    def rows(self, slots: Sequence[int], size: int) -> NDArray[Any]:
        """`size` rows that begin with these slots; not copied where they lie in a row."""
        first, count = slots[0], len(slots)
        in_a_row = list(slots) == list(range(first, first + count)) and first + size <= len(self.slots)
        if in_a_row and (size == count or not self.clean):
            return self.slots[first : first + size]
        np.take(self.slots, slots, axis=0, out=self._gathered[:count], mode="clip")  # "raise" would copy twice
        if self.clean:
            self._gathered[count:size] = 0
        return self._gathered[:size]
