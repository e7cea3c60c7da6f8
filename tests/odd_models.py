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


def _scores(path: Path, nodes, weights, batch: int | str = "N") -> Path:
    """`nodes` make `means` [N, 3] of the image; ten scores of it."""
    weights = {"w": np.random.default_rng(0).standard_normal((3, 10)).astype(np.float32), **weights}
    image, scores = ("image", FLOAT, [batch, 3, 32, 32]), ("scores", FLOAT, [batch, 10])
    return save(path, [*nodes, node("MatMul", ["means", "w"], ["scores"])], weights, [image], [scores])


def plain(path: Path) -> Path:
    """Nothing depends on what else is in the batch."""
    return _scores(path, [node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0)], {})


def every_row_is_the_first(path: Path) -> Path:
    """A constant 0 was traced where the image's number should be."""
    nodes = [
        node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        node("Gather", ["mean", "zero"], ["first"], axis=0),
        node("Shape", ["mean"], ["shape"]),
        node("Expand", ["first", "shape"], ["means"]),
    ]
    return _scores(path, nodes, {"zero": np.array(0)})


def batch_norm_in_training(path: Path, batch: int | str = "N", *, shared: bool = False) -> Path:
    """Exported without eval(): the batch is normalised by its own mean. Alone it answers the same each time; unless the
    bias is `shared` with the running mean, which ONNX Runtime writes to in place."""
    mean = "bias" if shared else "mean"
    nodes = [
        node("BatchNormalization", ["image", "scale", "bias", mean, "var"], ["x", "m", "v"], training_mode=1),
        node("Relu", ["x"], ["bright"]),
        node("ReduceMean", ["bright"], ["means"], axes=[2, 3], keepdims=0),
    ]
    values = {"scale": [1, 1.1, 1.2], "bias": [0.1, 0.2, 0.3], "mean": [0, 0.4, 0.5], "var": [2, 3, 4]}
    constants = {name: np.array(value, np.float32) for name, value in values.items()}
    return _scores(
        path, nodes, {name: value for name, value in constants.items() if name != "mean" or not shared}, batch
    )


def batch_norm_with_a_memory(path: Path) -> Path:
    """Whose answers depend on what came before."""
    return batch_norm_in_training(path, shared=True)


def dropout_in_training(path: Path) -> Path:
    """Exported without eval(): another part is left out each time."""
    nodes = [
        node("Dropout", ["image", "ratio", "training"], ["kept"]),
        node("ReduceMean", ["kept"], ["means"], axes=[2, 3], keepdims=0),
    ]
    return _scores(path, nodes, {"ratio": np.array(0.9, np.float32), "training": np.array(True)})


def wrong_with_red_company(path: Path, hidden: int = 1) -> Path:
    """Right in the company of the pictures of warming up, none of which is red: the redder the reddest of a batch is
    beyond that, the more is added to all. Takes 0 to 255 as it is, and time by the width of a `hidden` layer."""
    nodes = [
        node("ReduceMean", ["image"], ["own"], axes=[2, 3], keepdims=0),
        node("MatMul", ["own", "red"], ["redness"]),
        node("ReduceMax", ["redness"], ["most"], keepdims=0),
        node("Sub", ["most", "bound"], ["beyond"]),
        node("Relu", ["beyond"], ["more"]),
        node("Flatten", ["image"], ["flat"]),
        node("MatMul", ["flat", "wide"], ["work"]),
        node("ReduceMean", ["work"], ["nothing"], axes=[1], keepdims=1),
        node("Sum", ["own", "more", "nothing"], ["means"]),
    ]
    weights = {
        "red": np.array([[1], [0], [-1]], np.float32),
        "bound": np.array(100, np.float32),
        "wide": np.zeros((3 * 32 * 32, hidden), np.float32),
    }
    return _scores(path, nodes, weights)
