"""A model's inputs and outputs as ONNX Runtime reports them, and what follows for serving it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from preprocess.recipe import IMAGENET_MEAN, IMAGENET_STD, Dtype, Layout, Recipe
from server.contract.metadata import FREE, TensorSpec
from server.models.dtypes import from_onnxruntime
from server.models.errors import ModelError
from server.models.output_spec import Output
from server.models.toml_card import CARD_FILE

Dimension = int | str | None  # a number, or free, with or without a name

FREE_SIDE = 224  # pixels, where a model leaves height or width free

_DTYPES: dict[str, Dtype] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}
_WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_NUMBERS = frozenset(f"tensor({name})" for name in ("float", "float16", "double", "bool", *_WHOLE))


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output. `type` in ONNX Runtime's words, such as `tensor(float)`."""

    name: str
    type: str
    shape: tuple[Dimension, ...]

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.type}"

    @property
    def spec(self) -> TensorSpec:
        """As the contract has it."""
        sides = (side if isinstance(side, int) and side >= 0 else FREE for side in self.shape)
        return TensorSpec(self.name, from_onnxruntime(self.type), tuple(sides))


@dataclass(frozen=True, slots=True)
class Signature:
    """All a model takes and gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def image_input(signature: Signature) -> Tensor:
    """The one input. Raises `ModelError`."""
    if len(signature.inputs) != 1:
        names = ", ".join(map(str, signature.inputs)) or "none"
        raise ModelError(f"it has {len(signature.inputs)} inputs ({names}); needed is one, the image")
    return signature.inputs[0]


def chosen_outputs(signature: Signature, output: Output) -> tuple[Tensor, ...]:
    """The outputs that `output` is about, in its order. Raises `ModelError`."""
    there = {tensor.name: tensor for tensor in signature.outputs}
    known = ", ".join(there) or "none"
    if missing := [name for name in output.names or () if name not in there]:
        raise ModelError(f"the card names the output {missing[0]!r}; the model has {known}")
    if not there:
        raise ModelError("it has no output; needed is at least one")
    if output.kind in ("classes", "score") and not output.names and len(there) > 1:
        raise ModelError(f'the model has the outputs {known}: the card must say which, as names = ["..."]')
    chosen = [there[name] for name in output.names or there]
    for tensor in chosen:
        if tensor.type not in _NUMBERS:
            raise ModelError(
                f"the output {tensor.name!r} is {tensor.type}; needed: a tensor of numbers (names in the"
                f" [output] of {CARD_FILE} may choose others: the model has {known})"
            )
    return tuple(chosen)


def fixed_batch(given: Tensor) -> int | None:
    """The number the batch dimension is fixed to; None where it is free."""
    first = given.shape[0] if given.shape else None
    return first if isinstance(first, int) and first > 0 else None


def recipe_for(given: Tensor, asked: Recipe | None) -> Recipe:
    """The recipe of the card if it fits the input, or one read off the input. Raises `ModelError`."""
    if asked is None:
        return recipe_from_input(given.shape, given.type)
    sizes = (None, *asked.shape)
    fits = len(given.shape) == 4 and all(
        not isinstance(has, int) or has <= 0 or wants in (None, has)
        for has, wants in zip(given.shape, sizes, strict=True)
    )
    if not fits or _DTYPES.get(given.type) != asked.dtype:
        raise ModelError(
            f"the model's input is {given.type} {list(given.shape)}; the [input] of {CARD_FILE} makes"
            f" {asked.dtype} {['N', *asked.shape]} of an image: width, height, layout, colour and dtype must fit"
        )
    return asked


def recipe_from_input(shape: Sequence[Dimension], dtype: str) -> Recipe:
    """The recipe of a model without one, from its input as ONNX Runtime reports it.

    Such a model takes what most image models do: the picture cut to its proportions, ImageNet's
    normalisation for three channels of floats, 0..1 for one, bytes as they are. A free height or width
    means 224. Raises ModelError.
    """
    kind, axes = _DTYPES.get(dtype), _axes(shape)
    if kind is None or axes is None:
        raise ModelError(
            f"the model's input is {dtype} {list(shape)}; needed: {', '.join(_DTYPES)} of 4 dimensions,"
            f" with 1 or 3 channels in the second or the last, or an [input] in {CARD_FILE}"
        )
    layout, channels, height, width = axes
    values: dict[str, Any] = {} if kind == "uint8" else {"scale": 1 / 255}
    if channels == 3 and kind != "uint8":
        values |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    colour: Literal["RGB", "grey"] = "RGB" if channels == 3 else "grey"
    try:
        return Recipe(width=width, height=height, layout=layout, dtype=kind, colour=colour, **values)
    except ValueError as error:
        raise ModelError(f"the model's input is {dtype} {list(shape)}: {error}") from None


def _axes(shape: Sequence[Dimension]) -> tuple[Layout, int, int, int] | None:
    """(layout, channels, height, width) of an input of 4 dimensions; None where there is no telling."""
    if len(shape) != 4:
        return None
    _, second, third, last = shape
    if second in (1, 3):
        return "NCHW", int(second), _side(third), _side(last)
    if last in (1, 3):
        return "NHWC", int(last), _side(second), _side(third)
    return None


def _side(dimension: Dimension) -> int:
    return dimension if isinstance(dimension, int) and dimension > 0 else FREE_SIDE
