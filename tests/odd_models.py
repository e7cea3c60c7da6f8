"""Small ONNX models of the forms that detectors and other converters write."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tests.models import save

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
IMAGE = ("image", FLOAT, ["N", 3, 32, 32])
ONE_IMAGE = ("image", FLOAT, [1, 3, 32, 32])
node = helper.make_node


def _places(threshold: float, image: str = "image", axes: tuple[int, ...] = (0, 1)):
    """The rows `boxes` [n, 2], one for each pixel whose mean is above a threshold."""
    nodes = [
        node("ReduceMean", [image], ["m"], axes=axes, keepdims=0),
        node("Greater", ["m", "threshold"], ["above"]),
        node("NonZero", ["above"], ["places"]),
        node("Transpose", ["places"], ["rows"], perm=[1, 0]),
        node("Cast", ["rows"], ["boxes"], to=FLOAT),
    ]
    return nodes, {"threshold": np.array(threshold, np.float32), "axis": np.array([0])}


def finds(path: Path, threshold: float) -> Path:
    """A detector, `dets` [1, n, 2]; over 3, it finds nothing in any picture."""
    nodes, constants = _places(threshold)
    nodes.append(node("Unsqueeze", ["boxes", "axis"], ["dets"]))
    return save(path, nodes, constants, [ONE_IMAGE], [("dets", FLOAT, [1, "n", 2])])


def torchvision(path: Path) -> Path:
    """As torchvision's detectors: an image without a batch; `boxes` [n, 2] and `labels` [n], led by no batch."""
    nodes, constants = _places(1.0, axes=(0,))
    nodes.append(node("ReduceSum", ["rows", "axis1"], ["labels"], keepdims=0))
    outputs = [("boxes", FLOAT, ["n", 2]), ("labels", INT64, ["n"])]
    return save(path, nodes, {**constants, "axis1": np.array([1])}, [("image", FLOAT, [3, 32, 32])], outputs)


def paddle(path: Path) -> Path:
    """As Paddle's detectors: a free batch, `scale_factor` [N, 2] by which boxes are multiplied, boxes of the whole
    batch in one output, and how many they are."""
    nodes, constants = _places(1.0)
    nodes += [
        node("Mul", ["boxes", "scale_factor"], ["bbox"]),
        node("Shape", ["bbox"], ["bbox_num"], end=1),
    ]
    inputs = [("scale_factor", FLOAT, [1, 2]), IMAGE]
    return save(path, nodes, constants, inputs, [("bbox", FLOAT, ["k", 2]), ("bbox_num", INT64, ["b"])])


def scaled_by(path: Path) -> Path:
    """The mean of each image, times what `factor` [N] says of it, and plus `shift`, an int64 without a dimension."""
    nodes = [
        node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        node("Mul", ["mean", "factor"], ["product"]),
        node("Cast", ["shift"], ["more"], to=FLOAT),
        node("Add", ["product", "more"], ["score"]),
    ]
    inputs = [IMAGE, ("factor", FLOAT, ["N"]), ("shift", INT64, [])]
    return save(path, nodes, {}, inputs, [("score", FLOAT, ["N"])])


def numbers_of(path: Path, kind: int) -> Path:
    """Takes numbers of this type, 0 to 255 or normalised, and gives the mean of each channel."""
    nodes = [
        node("Cast", ["image"], ["numbers"], to=FLOAT),
        node("ReduceMean", ["numbers"], ["means"], axes=[2, 3], keepdims=0),
    ]
    return save(path, nodes, {}, [("image", kind, ["N", 3, 8, 8])], [("means", FLOAT, ["N", 3])])


def squeezed(path: Path) -> Path:
    """Scores [3] of one image, without the batch."""
    nodes = [node("ReduceMean", ["image"], ["scores"], axes=[0, 2, 3], keepdims=0)]
    return save(path, nodes, {}, [ONE_IMAGE], [("scores", FLOAT, [3])])


def many_values(path: Path, channels: int = 84, places: int = 8400) -> Path:
    """YOLO without its own suppression: [N, channels, places], a value for each place and channel."""
    nodes = [
        node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
        node("Squeeze", ["mean", "axis"], ["flat"]),
        node("Mul", ["flat", "grid"], ["output0"]),
    ]
    grid = np.random.default_rng(4).random((1, channels, places), dtype=np.float32)
    constants = {"grid": grid, "axis": np.array([3])}
    return save(path, nodes, constants, [IMAGE], [("output0", FLOAT, ["N", channels, places])])
