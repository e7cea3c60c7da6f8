"""Versions of one small model: the same answers by all, and each candidate bad in its own way."""

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests import models

_MEAN_LIMIT = 2.0  # of a normalised image: only a white one is above it
_WIDTH, _LAYERS = 1200, 8


def good(path: Path) -> Path:
    """The model."""
    return models.dense(path)


def not_finite_for_white(path: Path) -> Path:
    """The same answers, but NaN for a white image."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["limit", "mean"], ["below"]),
        helper.make_node("Sqrt", ["below"], ["root"]),
        helper.make_node("Mul", ["root", "nothing"], ["zero"]),
        helper.make_node("Unsqueeze", ["zero", "last"], ["addend"]),
    ]
    return _added(good(path), nodes, {"limit": np.float32(_MEAN_LIMIT), "last": np.array([1], np.int64)})


def slow(path: Path) -> Path:
    """The same answers after far more work."""
    random = np.random.default_rng(3)
    sizes = [3 * 16 * 16, *[_WIDTH] * _LAYERS]
    weights = {
        f"v{number}": random.standard_normal(size, np.float32) / size[0] ** 0.5
        for number, size in enumerate(itertools.pairwise(sizes))
    }
    nodes = [helper.make_node("Flatten", ["image"], ["z0"])]
    nodes += [helper.make_node("MatMul", [f"z{at}", f"v{at}"], [f"z{at + 1}"]) for at in range(_LAYERS)]
    nodes += [
        helper.make_node("ReduceMean", [f"z{_LAYERS}"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "nothing"], ["addend"]),
    ]
    return _added(good(path), nodes, weights)


def other(path: Path) -> Path:
    """Other answers."""
    return models.dense(path, hidden=(48,))


def _added(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> Path:
    """The model with what the nodes give as `addend` added to its scores. `nothing` is 0."""
    model = onnx.load(str(path))
    graph = model.graph
    graph.node[-1].output[0] = "plain"
    graph.node.extend([*nodes, helper.make_node("Add", ["plain", "addend"], ["scores"])])
    named = {**weights, "nothing": np.float32(0.0)}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in named.items())
    onnx.save(model, str(path))
    return path
