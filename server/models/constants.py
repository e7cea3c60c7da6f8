"""Inputs beside the image that are the same for every picture, such as Paddle's `scale_factor`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.models.errors import ModelError
from server.models.signature import NUMBERS, Tensor
from server.models.toml_card import CARD_FILE


@dataclass(frozen=True, slots=True)
class Constant:
    """The value of an input. `repeated`: `value` is one image's, and a batch takes one for each image."""

    name: str
    value: NDArray[Any]
    repeated: bool

    def for_batch(self, size: int) -> NDArray[Any]:
        """What a batch of `size` images takes."""
        return np.repeat(self.value, size, axis=0) if self.repeated else self.value


def constants_for(inputs: Sequence[Tensor], values: Mapping[str, Any]) -> tuple[Constant, ...]:
    """The card's constants as the model takes them. Raises `ModelError` where one does not fit its input."""
    there = {tensor.name: tensor for tensor in inputs}
    return tuple(_constant(there[name], value) for name, value in values.items())


def _constant(tensor: Tensor, value: object) -> Constant:
    where = f"input.constants.{tensor.name} of {CARD_FILE}"
    if tensor.type not in NUMBERS:
        raise ModelError(f"{where}: the input is {tensor.type}; a constant is a number or lists of numbers")
    try:
        given = np.array(value)
        array = given.astype(NUMBERS[tensor.type])
    except (ValueError, TypeError, OverflowError):
        raise ModelError(f"{where} = {value!r}: must be a number, or lists of numbers of one length") from None
    if given.dtype.kind not in "fiub" or (array.dtype.kind in "iub" and not np.array_equal(array, given)):
        raise ModelError(f"{where} = {value!r}: must be numbers that {tensor.type} can hold")
    if array.ndim == len(tensor.shape) - 1:
        array = array[np.newaxis]
    free = bool(tensor.shape) and not _is_fixed(tensor.shape[0])
    fits = array.ndim == len(tensor.shape) and all(
        not _is_fixed(wants) or wants == has for wants, has in zip(tensor.shape, array.shape, strict=True)
    )
    if not fits:
        raise ModelError(f"{where} = {value!r}: its shape is {list(array.shape)}; the input is {tensor}")
    return Constant(tensor.name, array, repeated=free and len(array) == 1)


def _is_fixed(side: object) -> bool:
    return isinstance(side, int) and side > 0
