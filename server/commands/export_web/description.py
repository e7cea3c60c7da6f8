"""What the page has to know of a model, as data.

The normalisation is not described but done: for each channel, the tensor's bytes for each of the 256 values a pixel
can have, written by the code that writes the server's. So the page computes no floating point before the model.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocess.decode import Picture
from preprocess.recipe import Recipe
from preprocess.tensor import write
from server.inference.model import Model
from server.models.card import Located
from server.models.constants import constants_for
from server.models.signature import batched

_GEOMETRY = ("width", "height", "fit", "resample", "layout", "dtype", "colour")
_VALUES = 256


def describe(model: Model, located: Located, *, external: Sequence[str], runtime: str) -> dict[str, Any]:
    """`external`: the files of its weights, as the model names them. `runtime`: the version of ONNX Runtime."""
    session = model.session
    batch = session.fixed or 1
    constants = constants_for(session.signature.inputs, located.card.input.constants)
    return {
        "name": model.card.name,
        "version": model.card.version,
        "runtime": runtime,
        "external": list(external),
        "input": {
            "name": session.input.name,
            "shape": [*([] if batched(session.input) is not session.input else [batch]), *session.recipe.shape],
            **input_of(session.recipe),
        },
        "constants": {each.name: _tensor(each.for_batch(batch)) for each in constants},
        "output": {**asdict(model.output), "whole": session.whole, "batch": batch},
    }


def input_of(recipe: Recipe) -> dict[str, Any]:
    """How a picture becomes one image's tensor."""
    return {
        **{key: value for key, value in asdict(recipe).items() if key in _GEOMETRY},
        "tables": [_encoded(row) for row in _tables(recipe)],
        "pad": [_padding(recipe, channel) for channel in range(recipe.channels)],
    }


def _tables(recipe: Recipe) -> NDArray[Any]:
    """For each channel, in the tensor's order, what each pixel value becomes: (channels, 256), of its dtype."""
    plain = Recipe(
        width=_VALUES, height=1, fit="stretch", resample="nearest", dtype=recipe.dtype, colour=recipe.colour,
        scale=recipe.scale, mean=recipe.mean, std=recipe.std,
    )  # fmt: skip
    ramp = Image.fromarray(np.arange(_VALUES, dtype=np.uint8)[np.newaxis])
    slot = np.zeros(plain.shape, plain.dtype)
    write(Picture(ramp, ramp.size, None), plain, slot)
    return slot[:, 0, :]


def _padding(recipe: Recipe, channel: int) -> int:
    """The value of the pad colour in a channel."""
    if recipe.colour == "grey":
        return int(np.asarray(Image.new("RGB", (1, 1), recipe.pad).convert("L"))[0, 0])
    return recipe.pad[channel if recipe.colour == "RGB" else 2 - channel]


def _tensor(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": _encoded(array)}


def _encoded(array: NDArray[Any]) -> str:
    """Little-endian, in C order, as base64."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode()
