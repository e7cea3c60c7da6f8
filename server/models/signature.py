"""A model's inputs and outputs as ONNX Runtime reports them, and what follows for serving it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from preprocess.recipe import FLOATS, IMAGENET_MEAN, IMAGENET_STD, Colour, Dtype, Layout, Recipe
from server.contract.metadata import FREE, TensorSpec
from server.models.dtypes import from_onnxruntime
from server.models.errors import ModelError
from server.models.input_spec import Input
from server.models.output_spec import Output
from server.models.toml_card import CARD_FILE

Dimension = int | str | None  # a number, or free, with or without a name

FREE_SIDE = 224  # pixels, where a model leaves height or width free

_DTYPES: dict[str, Dtype] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_NOTHING = Input()
_WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
NUMBERS = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({name})": name for name in ("float16", "bool", *_WHOLE)},
}
"""ONNX Runtime's types that numpy has, and numpy's names for them."""


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


def image_input(signature: Signature, constants: Collection[str] = ()) -> Tensor:
    """The one input for which the card has no constant. Raises `ModelError`."""
    names = ", ".join(map(str, signature.inputs)) or "none"
    if unknown := [name for name in constants if name not in {tensor.name for tensor in signature.inputs}]:
        raise ModelError(f"the card has a constant for the input {unknown[0]!r}; the model has {names}")
    rest = [tensor for tensor in signature.inputs if tensor.name not in constants]
    if len(rest) != 1:
        others = f", {len(constants)} of them constant" if constants else ""
        raise ModelError(
            f"it has {len(signature.inputs)} inputs ({names}){others}; expected one: the image. Each other"
            f" needs a constant in the [input.constants] of {CARD_FILE}"
        )
    return rest[0]


def led(tensor: Tensor) -> Tensor:
    """A tensor of one image as that of a batch of 1."""
    return Tensor(tensor.name, tensor.type, (1, *tensor.shape))


def batched(given: Tensor) -> Tensor:
    """The image's input: one that takes an image without a batch, as one whose batch is fixed to 1."""
    return led(given) if len(given.shape) == 3 else given


def chosen_outputs(signature: Signature, output: Output) -> tuple[Tensor, ...]:
    """The outputs that `output` is about, in its order. Raises `ModelError`."""
    there = {tensor.name: tensor for tensor in signature.outputs}
    known = ", ".join(there) or "none"
    if missing := [name for name in output.names or () if name not in there]:
        raise ModelError(f"the card names the output {missing[0]!r}; the model has {known}")
    if not there:
        raise ModelError("it has no output; expected at least one")
    if output.kind in ("classes", "score") and not output.names and len(there) > 1:
        raise ModelError(f'the model has the outputs {known}: the card must say which, as names = ["..."]')
    chosen = [there[name] for name in output.names or there]
    for tensor in chosen:
        if tensor.type not in NUMBERS:
            raise ModelError(
                f"the output {tensor.name!r} is {tensor.type}; needed: a tensor of numbers (names in the"
                f" [output] of {CARD_FILE} may choose others: the model has {known})"
            )
    return tuple(chosen)


def fixed_batch(given: Tensor) -> int | None:
    """The number the batch dimension is fixed to; None where it is free."""
    first = given.shape[0] if given.shape else None
    return first if isinstance(first, int) and first > 0 else None


def recipe_for(given: Tensor, asked: Input) -> Recipe:
    """The recipe read off the input, with the card's keys in place of its own. Raises `ModelError`."""
    recipe = recipe_from_input(given.shape, given.type, asked)
    sizes = (None, *recipe.shape)
    fits = all(
        not isinstance(has, int) or has <= 0 or wants in (None, has)
        for has, wants in zip(given.shape, sizes, strict=True)
    )
    if not fits or _DTYPES[given.type] != recipe.dtype:
        raise ModelError(
            f"the model's input is {given.type} {list(given.shape)}; the [input] of {CARD_FILE} makes"
            f" {recipe.dtype} {['N', *recipe.shape]} of an image: width, height, layout, colour and dtype must fit"
        )
    return recipe


def recipe_from_input(shape: Sequence[Dimension], dtype: str, asked: Input = _NOTHING) -> Recipe:
    """The recipe of a model, from its input as ONNX Runtime reports it; a key that the card gives replaces just that.

    What is read off is what most image models take: the picture cut to its proportions, ImageNet's normalisation for
    three channels of floats, 0..1 for one, bytes as they are. A free height or width means 224. Where the number of
    channels is free too, the card's colour and layout decide, RGB and NCHW by default.

    Raises `ModelError` if there is no telling, or the card breaks a rule of recipes. Whether the card fits the input
    is not looked at.
    """
    kind, axes = _DTYPES.get(dtype), _axes(shape) or _axes_by_card(shape, asked)
    if kind is None or axes is None:
        raise ModelError(
            f"the model's input is {dtype} {list(shape)}; needed: {', '.join(_DTYPES)} of 4 dimensions, or 3 for one"
            f" image, with 1 or 3 channels before or after height and width, or an [input] in {CARD_FILE}"
        )
    layout, channels, height, width = axes
    colour = asked.colour or ("RGB" if channels == 3 else "grey")
    values: dict[str, Any] = {"width": width, "height": height, "layout": layout, "dtype": kind, "colour": colour}
    try:
        return Recipe(**{**values, **_normalisation(kind, colour), **asked.given})
    except ValueError as error:
        where = f"; [input] of {CARD_FILE}" if asked.given else ""
        raise ModelError(f"the model's input is {dtype} {list(shape)}{where}: {error}") from None


def _normalisation(kind: Dtype, colour: Colour) -> dict[str, Any]:
    """What most models of this type and number of channels were trained with."""
    if kind not in FLOATS:
        return {}
    if colour == "grey":
        return {"scale": 1 / 255}
    turn = -1 if colour == "BGR" else 1
    return {"scale": 1 / 255, "mean": IMAGENET_MEAN[::turn], "std": IMAGENET_STD[::turn]}


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


def _axes_by_card(shape: Sequence[Dimension], asked: Input) -> tuple[Layout, int, int, int] | None:
    """The same where the model leaves its channels free and the card says anything about the input."""
    if len(shape) != 4 or not asked.given:
        return None
    layout = asked.layout or "NCHW"
    height, width = (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])
    return layout, 1 if asked.colour == "grey" else 3, _side(height), _side(width)


def _side(dimension: Dimension) -> int:
    return dimension if isinstance(dimension, int) and dimension > 0 else FREE_SIDE
