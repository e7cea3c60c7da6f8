"""The head: a graph before the model, which makes the model's input of a picture's bytes on the device.

    pixels, uint8 [N, height, width, channels] ──► transposed ──► * factor + summand ──► image, as the model takes it

It is a model of its own, run before the user's: that one's file, its signature, and weights beside it or beyond 2 GB
stay as they are. Pure: a recipe in, a file's bytes out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.recipe import Recipe
from server.inference.onnx.graph_bytes import Node, Type, Value, model

PIXELS, IMAGE = "pixels", "image"  # its input and its output

_TYPES = {
    "float32": Type.FLOAT32,
    "float16": Type.FLOAT16,
    "float64": Type.FLOAT64,
    "int32": Type.INT32,
    "int64": Type.INT64,
}


def needs_head(recipe: Recipe) -> bool:
    """Whether a picture's bytes are not yet what such a model takes."""
    return recipe.dtype != "uint8"


def pixels_of(recipe: Recipe) -> Recipe:
    """The recipe for the bytes that the head, or the model itself, makes the rest of."""
    if not needs_head(recipe):
        return recipe
    plain: dict[str, Any] = {"layout": "NHWC", "dtype": "uint8", "scale": 1.0, "mean": (0.0,), "std": (1.0,)}
    return replace(recipe, **plain)


def head_for(recipe: Recipe) -> bytes:
    """The head's file. What it computes is what `preprocess.tensor` would have written, in the same precision; of
    float64 what float32 holds of it."""
    turned = recipe.layout == "NCHW"
    beside = (1, recipe.channels, 1, 1) if turned else (recipe.channels,)
    factors = np.array(recipe.factors, np.float32)
    nodes = [
        *([Node("Transpose", [PIXELS], "turned", {"perm": (0, 3, 1, 2)})] if turned else []),  # while it is bytes
        Node("Cast", ["turned" if turned else PIXELS], "values", {"to": Type.FLOAT32}),
        Node("Mul", ["values", "factor"], "scaled"),
        Node("Add", ["scaled", "summand"], "normalised"),
        Node("Cast", ["normalised"], IMAGE, {"to": _TYPES[recipe.dtype]}),
    ]
    constants = {"factor": factors[:, 0].reshape(beside), "summand": factors[:, 1].reshape(beside)}
    given = Value(PIXELS, Type.UINT8, ("N", recipe.height, recipe.width, recipe.channels))
    return model(nodes, given, Value(IMAGE, _TYPES[recipe.dtype], ("N", *recipe.shape)), constants)
