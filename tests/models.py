"""Small ONNX models for tests, built on the spot with seeded weights."""

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 17


def save(path: Path, nodes, initializers, inputs, outputs) -> Path:
    """Write a graph; `inputs` and `outputs` are (name, element type, shape)."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    onnx.save(model, str(path))
    return path


def dense(path: Path, size: int = 16, hidden: tuple[int, ...] = (64,), classes: int = 10) -> Path:
    """A perceptron on [N, 3, size, size]. Wide layers make a batch of 8 cost little more than one of 1: the
    weights, not the images, are what is moved through memory."""
    rng = np.random.default_rng(1)
    widths = (3 * size * size, *hidden, classes)
    nodes, weights, last = [helper.make_node("Flatten", ["image"], ["x0"])], {}, "x0"
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        weights[f"w{layer}"] = _normal(rng, fan_in, fan_out)
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"y{layer}"]))
        nodes.append(helper.make_node("Tanh", [f"y{layer}"], [f"x{layer + 1}"]))
        last = f"x{layer + 1}"
    nodes.append(helper.make_node("Identity", [last], ["scores"]))
    image = ("image", TensorProto.FLOAT, ["N", 3, size, size])
    return save(path, nodes, weights, [image], [("scores", TensorProto.FLOAT, ["N", classes])])


def two_inputs(path: Path) -> Path:
    """A model no image server can serve."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"])]
    shape = ["N", 3, 8, 8]
    inputs = [("a", TensorProto.FLOAT, shape), ("b", TensorProto.FLOAT, shape)]
    return save(path, nodes, {}, inputs, [("sum", TensorProto.FLOAT, shape)])


def _normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    scale = 1.5 / np.sqrt(fan_in)
    return (rng.standard_normal((fan_in, fan_out), dtype=np.float32) * scale).astype(np.float32)


def fussy(path: Path) -> Path:
    """Scores made of each image's mean, with two faults: the logarithm of a dark image's is not a number, and
    the output has one row too few for any batch but 1."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Log", ["mean"], ["log"]),
        helper.make_node("Unsqueeze", ["log", "start1"], ["column"]),
        helper.make_node("MatMul", ["column", "two"], ["rows"]),
        # keeps max(1, n - 1) rows: right for a batch of 1, one short for any other
        helper.make_node("Shape", ["rows"], ["shape"], end=1),
        helper.make_node("Sub", ["shape", "ones"], ["fewer"]),
        helper.make_node("Max", ["fewer", "ones"], ["kept"]),
        helper.make_node("Slice", ["rows", "start", "kept"], ["scores"]),
    ]
    weights = {
        "two": np.array([[1.0, -1.0]], np.float32),
        "start": np.array([0], np.int64),
        "start1": np.array([1], np.int64),
        "ones": np.array([1], np.int64),
    }
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, weights, [image], [("scores", TensorProto.FLOAT, ["M", 2])])
