"""What a model is to those who ask it: names, shapes and dtypes as data."""

from math import prod

import msgspec

ITEM_BYTES = {
    "BOOL": 1,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FP16": 2,
    "FP32": 4,
    "FP64": 8,
}
"""Bytes per element of each dtype, by its name in the Open Inference Protocol."""

FREE = -1
"""A dimension that the model leaves open."""


class TensorSpec(msgspec.Struct, frozen=True, array_like=True):
    """An input or output, or one image's part of it. `dtype` is a key of `ITEM_BYTES`."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole tensor, if no dimension is free."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]

    def __str__(self) -> str:
        sides = ", ".join("N" if side == FREE else str(side) for side in self.shape)
        return f"{self.name} {self.dtype} [{sides}]".strip()


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers. `inputs` and `outputs` have the batch as their first dimension."""

    name: str
    version: str
    digest: str
    """XXH3-128 of the model, hex."""
    recipe: str = ""
    """XXH3-128, hex, of what else makes its answers: how images are prepared, and what is made of the outputs."""
    prepares: str = ""
    """XXH3-128, hex, of how images are prepared alone: models with the same take each other's prepared images."""
    provider: str
    """ONNX Runtime's name of the execution provider."""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    answer: str = ""
    """What an answer makes of the outputs, for people."""
    notes: tuple[str, ...] = ()
    """How it is computed where that is not plain, for people."""
    warnings: tuple[str, ...] = ()
    """What the operator should look into, such as a card that is likely to be wrong."""
