"""Small ONNX models for tests, built on the spot with seeded weights."""

import itertools
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from server.models.input_spec import Input

_OPSET = 17
AS_IT_IS = Input(scale=1.0, mean=(0.0,), std=(1.0,))
"""A card for a model that takes 0 to 255."""


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
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def dense(
    path: Path, size: int = 16, hidden: tuple[int, ...] = (64,), classes: int = 10, batch: int | str = "N"
) -> Path:
    """A perceptron on [batch, 3, size, size]. Wide layers make a batch of 8 cost little more than one of 1: the
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
    image = ("image", TensorProto.FLOAT, [batch, 3, size, size])
    return save(path, nodes, weights, [image], [("scores", TensorProto.FLOAT, [batch, classes])])


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


# ---- Of every form that is served ----


def bytes_last(path: Path, classes: int = 6) -> Path:
    """uint8, NHWC, 3 channels; gives probabilities."""
    return _flat(path, TensorProto.UINT8, ["N", 20, 30, 3], classes, last="Softmax")


def half(path: Path, classes: int = 6) -> Path:
    """float16, NCHW, on the way in and out; gives logits."""
    return _flat(path, TensorProto.FLOAT16, ["N", 3, 12, 12], classes)


def grey_last(path: Path, classes: int = 4) -> Path:
    """float32, NHWC, 1 channel."""
    return _flat(path, TensorProto.FLOAT, ["N", 14, 10, 1], classes)


def one_score(path: Path, batch: int | str = "N") -> Path:
    """One number an image, [N, 1]."""
    return _flat(path, TensorProto.FLOAT, [batch, 3, 12, 12], 1)


def digits(path: Path) -> Path:
    """1 channel of 28 x 28, a convolution and a dense layer: the first model of many."""
    rng = np.random.default_rng(3)
    weights = {"k": _normal(rng, 9, 8).T.reshape(8, 1, 3, 3), "w": _normal(rng, 8 * 14 * 14, 10)}
    nodes = [
        helper.make_node("Conv", ["image", "k"], ["c"], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["logits"]),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 1, 28, 28])
    return save(path, nodes, weights, [image], [("logits", TensorProto.FLOAT, ["N", 10])])


def three_outputs(path: Path) -> Path:
    """24 high, 40 wide; gives a vector, a grid and whole numbers, one row an image each."""
    rng = np.random.default_rng(4)
    weights = {"k": _normal(rng, 48, 4).T.reshape(4, 3, 4, 4)}
    nodes = [
        helper.make_node("Conv", ["image", "k"], ["grid"], strides=[4, 4]),
        helper.make_node("ReduceMean", ["grid"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("ArgMax", ["means"], ["best"], axis=1, keepdims=0),
    ]
    outputs = [
        ("means", TensorProto.FLOAT, ["N", 4]),
        ("grid", TensorProto.FLOAT, ["N", 4, 6, 10]),
        ("best", TensorProto.INT64, ["N"]),
    ]
    return save(path, nodes, weights, [("image", TensorProto.FLOAT, ["N", 3, 24, 40])], outputs)


def everywhere(path: Path, channels: int = 5, stride: int = 16) -> Path:
    """Fully convolutional: any height and width, a map of scores."""
    weights = {"k": _normal(np.random.default_rng(5), 27, channels).T.reshape(channels, 3, 3, 3)}
    nodes = [helper.make_node("Conv", ["image", "k"], ["map"], pads=[1] * 4, strides=[stride, stride])]
    image = ("image", TensorProto.FLOAT, ["N", 3, "H", "W"])
    return save(path, nodes, weights, [image], [("map", TensorProto.FLOAT, ["N", channels, "h", "w"])])


def convolutions(path: Path, layers: int = 12) -> Path:
    """One after the other, of 3x3, on [N, 8, 16, 16]'s worth of values; what costs is planning them, not doing it."""
    rng = np.random.default_rng(3)
    nodes, weights, last = [], {}, "image"
    for layer in range(layers):
        weights[f"w{layer}"] = rng.standard_normal((8, 8 if layer else 3, 3, 3), dtype=np.float32) / 6
        nodes.append(helper.make_node("Conv", [last, f"w{layer}"], [f"y{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Tanh", [f"y{layer}"], [f"x{layer}"]))
        last = f"x{layer}"
    nodes.append(helper.make_node("ReduceMean", [last], ["scores"], axes=[2, 3], keepdims=0))
    image = ("image", TensorProto.FLOAT, ["N", 3, 16, 16])
    return save(path, nodes, weights, [image], [("scores", TensorProto.FLOAT, ["N", 8])])


def branches(path: Path) -> Path:
    """The mean of each image, negative where the brightest of the batch is above a half: by control flow."""
    row = helper.make_tensor_value_info
    kept, turned = (
        helper.make_graph([helper.make_node(kind, ["means"], [name])], name, [], [row(name, TensorProto.FLOAT, ["N"])])
        for kind, name in (("Identity", "kept"), ("Neg", "turned"))
    )
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["means"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "half"], ["bright"]),
        helper.make_node("If", ["bright"], ["score"], then_branch=turned, else_branch=kept),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, {"half": np.array(0.5, np.float32)}, [image], [("score", TensorProto.FLOAT, ["N"])])


def by_chance(path: Path) -> Path:
    """Three scores that no picture has a part in."""
    nodes = [
        helper.make_node("RandomUniformLike", ["image"], ["drawn"]),
        helper.make_node("ReduceMean", ["drawn"], ["scores"], axes=[2, 3], keepdims=0),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 2, 2])
    return save(path, nodes, {}, [image], [("scores", TensorProto.FLOAT, ["N", 3])])


def beside_others(path: Path) -> Path:
    """Answers otherwise in company: by how much an image is darker than the brightest of its batch."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["mean"], ["most"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["most", "mean"], ["darker"]),
        helper.make_node("Add", ["darker", "one"], ["score"]),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 2, 2])
    one = {"one": np.ones(3, np.float32)}
    return save(path, nodes, one, [image], [("score", TensorProto.FLOAT, ["N", 3])])


def one_at_a_time(path: Path) -> Path:
    """Its batch dimension claims to be free, and is not: a reshape within has 1 written into it."""
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    weights = {
        "shape": np.array([1, 3 * 8 * 8], np.int64),
        "w": _normal(np.random.default_rng(6), 3 * 8 * 8, 3),
    }
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, weights, [image], [("logits", TensorProto.FLOAT, ["N", 3])])


def hungry(path: Path, power: float = 12.0) -> Path:
    """Takes batch size ** power floats of memory on the way: a few images do not fit into any machine."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Shape", ["image"], ["n"], end=1),
        helper.make_node("Cast", ["n"], ["n_float"], to=TensorProto.DOUBLE),
        helper.make_node("Pow", ["n_float", "power"], ["much"]),
        helper.make_node("Cast", ["much"], ["room"], to=TensorProto.INT64),
        helper.make_node("Expand", ["nothing", "room"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["mean", "zero"], ["logits"]),
    ]
    weights = {"power": np.array(power, np.float64), "nothing": np.zeros(1, np.float32)}
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, weights, [image], [("logits", TensorProto.FLOAT, ["N", 3])])


def tells_size(path: Path) -> Path:
    """Its score is the size of the batch that was run, the same for each image in it."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["means", "zero"], ["zeros"]),
        helper.make_node("Shape", ["image"], ["shape"], end=1),
        helper.make_node("Cast", ["shape"], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["zeros", "size"], ["sizes"]),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    output = ("sizes", TensorProto.FLOAT, ["N"])
    return save(path, nodes, {"zero": np.array(0, np.float32)}, [image], [output])


def as_wide_as_bright(path: Path) -> Path:
    """Its output has as many columns as the first image's mean is large, up to 192; no shape says so beforehand."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Slice", ["means", "start", "one"], ["first"]),
        helper.make_node("Cast", ["first"], ["end"], to=TensorProto.INT64),
        helper.make_node("Slice", ["flat", "start", "end", "one"], ["columns"]),
    ]
    weights = {"start": np.array([0], np.int64), "one": np.array([1], np.int64)}
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, weights, [image], [("columns", TensorProto.FLOAT, ["N", "width"])])


def mostly_probabilities(path: Path) -> Path:
    """Scores that are not negative and sum to 1 for a black picture, and only for that."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "spread"], ["wide"]),
        helper.make_node("Add", ["wide", "half"], ["scores"]),
    ]
    weights = {
        "one": np.array([1], np.int64),
        "spread": np.array([[3.0, 5.0]], np.float32),
        "half": np.array([0.5, 0.5], np.float32),
    }
    image = ("image", TensorProto.FLOAT, ["N", 1, 8, 8])  # grey: a black picture is all 0
    return save(path, nodes, weights, [image], [("scores", TensorProto.FLOAT, ["N", 2])])


def beyond_half(path: Path) -> Path:
    """The mean times a million and then a hundred-thousandth: the first is more than a float16 can hold."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["means", "million"], ["large"]),
        helper.make_node("Mul", ["large", "little"], ["scaled"]),
        helper.make_node("Unsqueeze", ["scaled", "one"], ["score"]),
    ]
    weights = {
        "million": np.array(1e6, np.float32),
        "little": np.array(1e-5, np.float32),
        "one": np.array([1], np.int64),
    }
    image = ("image", TensorProto.FLOAT, ["N", 1, 8, 8])
    return save(path, nodes, weights, [image], [("score", TensorProto.FLOAT, ["N", 1])])


def probabilities_in_full(path: Path) -> Path:
    """Probabilities, three times multiplied by what float16 rounds up by half a thousandth, and by its inverse."""
    nodes, weights, last = [helper.make_node("Flatten", ["image"], ["flat"])], {}, "soft"
    nodes += [
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [last]),
    ]
    weights = {
        "w": _normal(np.random.default_rng(7), 192, 4),
        "up": np.array(1025.5, np.float32),
        "down": np.array(1 / 1025.5, np.float32),
    }
    for time in range(3):
        nodes.append(helper.make_node("Mul", [last, "up"], [f"up{time}"]))
        nodes.append(helper.make_node("Mul", [f"up{time}", "down"], [f"down{time}"]))
        last = f"down{time}"
    nodes.append(helper.make_node("Identity", [last], ["scores"]))
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, weights, [image], [("scores", TensorProto.FLOAT, ["N", 4])])


# ---- Of forms that are not ----


def broken(path: Path) -> Path:
    """Loads, but fails with any image: 192 values do not make 7."""
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["scores"])]
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    output = ("scores", TensorProto.FLOAT, ["N", 7])
    return save(path, nodes, {"shape": np.array([-1, 7], np.int64)}, [image], [output])


def takes(path: Path, kind: int, shape: list[int | str]) -> Path:
    """A model with this input."""
    nodes = [helper.make_node("Identity", ["image"], ["same"])]
    return save(path, nodes, {}, [("image", kind, shape)], [("same", kind, shape)])


def says_words(path: Path) -> Path:
    """Gives the name of the best class as a string, and its scores besides."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["words"], to=TensorProto.STRING),
        helper.make_node("Identity", ["flat"], ["numbers"]),
    ]
    outputs = [("words", TensorProto.STRING, ["N", 192]), ("numbers", TensorProto.FLOAT, ["N", 192])]
    return save(path, nodes, {}, [("image", TensorProto.FLOAT, ["N", 3, 8, 8])], outputs)


def gives_nothing(path: Path, length: int | str = "none") -> Path:
    """Its output has a row for each image, and nothing in it."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Slice", ["flat", "zero", "zero", "one"], ["nothing"]),
    ]
    weights = {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, weights, [image], [("nothing", TensorProto.FLOAT, ["N", length])])


def never_finite(path: Path) -> Path:
    """The logarithm of minus one and a bit, whatever the image."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Abs", ["flat"], ["size"]),
        helper.make_node("Sub", ["below", "size"], ["negative"]),
        helper.make_node("Log", ["negative"], ["scores"]),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    output = ("scores", TensorProto.FLOAT, ["N", 192])
    return save(path, nodes, {"below": np.array(-1, np.float32)}, [image], [output])


def _flat(path: Path, kind: int, shape: list[int | str], classes: int, last: str = "Identity") -> Path:
    """One dense layer on the pixels, computed in float32, given in the input's type unless that is bytes."""
    weights = {"w": _normal(np.random.default_rng(2), math.prod(shape[1:]), classes)}
    out = TensorProto.FLOAT if kind == TensorProto.UINT8 else kind
    scale = 1 / 255 if kind == TensorProto.UINT8 else 1
    weights["scale"] = np.array(scale, np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "scale"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["sums"]),
        helper.make_node(last, ["sums"], ["activated"]),
        helper.make_node("Cast", ["activated"], ["scores"], to=out),
    ]
    return save(path, nodes, weights, [("image", kind, shape)], [("scores", out, [shape[0], classes])])


def picky(path: Path) -> Path:
    """Scores looked up in a table of 200 rows by the image's mean grey: raises on a brighter one, and with it the
    batch it is in. Input 0 to 255."""
    rng = np.random.default_rng(2)
    table = {"table": rng.random((200, 3), dtype=np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Cast", ["mean"], ["level"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "level"], ["scores"]),
    ]
    image = ("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    return save(path, nodes, table, [image], [("scores", TensorProto.FLOAT, ["N", 3])])
