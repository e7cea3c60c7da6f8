"""Build the demo model: how colourful is the picture, in the words of Hasler and Suesstrunk (2003).

    M = sqrt(var(rg) + var(yb)) + 0.3 * sqrt(mean(rg)**2 + mean(yb)**2),  rg = R - G,  yb = (R + G) / 2 - B

They asked people, and published the M at which a picture counts as "slightly", "moderately", ... colourful.
A picture belongs to the two levels around its M, the nearer the more, so the weights of the seven classes
sum to 1.

Run `python -m server.demo.build` to write the model again. Needs the `onnx` package, which serving does not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from server.demo import FOLDER

LEVELS = (0.0, 15.0, 33.0, 45.0, 59.0, 82.0, 109.0)  # M of each class, from "not" to "extremely" colourful
SIDE = 224  # pixels
MODEL_FILE = FOLDER / "1" / "model.onnx"

# Old on purpose: every ONNX Runtime we support reads them.
_OPSET = 17
_IR_VERSION = 8


def build() -> onnx.ModelProto:
    """The model: `image` (float32 [N, 3, 224, 224], RGB, 0..255) to `probabilities` (float32 [N, 7])."""
    graph = helper.make_graph(
        nodes=[*_colourfulness(), *_weights()],
        name="colourfulness",
        inputs=[helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        outputs=[helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(LEVELS)])],
        initializer=[numpy_helper.from_array(value, name) for name, value in _constants().items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="tureen")
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def write(path: Path = MODEL_FILE) -> None:
    path.write_bytes(build().SerializeToString(deterministic=True))


def _constants() -> dict[str, NDArray[np.generic]]:
    opponent = np.array([[1, -1, 0], [0.5, 0.5, -1]], dtype=np.float32)  # rg, yb of R, G, B
    return {
        "opponent": opponent.reshape(2, 3, 1, 1),
        "channels": np.array([1], dtype=np.int64),
        "mean_factor": np.array(0.3, dtype=np.float32),
        "lower": np.array(LEVELS[:-1], dtype=np.float32),
        "span": np.diff(np.array(LEVELS, dtype=np.float32)),
        "zero": np.array(0, dtype=np.float32),
        "one": np.array(1, dtype=np.float32),
        "pad_before": np.array([0, 1, 0, 0], dtype=np.int64),
        "pad_after": np.array([0, 0, 0, 1], dtype=np.int64),
    }


def _colourfulness() -> list[onnx.NodeProto]:
    """image [N, 3, H, W] to M [N, 1]; the mean is taken off before squaring, or float32 loses digits."""
    node = helper.make_node
    return [
        node("Conv", ["image", "opponent"], ["axes"]),
        node("ReduceMean", ["axes"], ["mean_map"], axes=[2, 3], keepdims=1),
        node("Sub", ["axes", "mean_map"], ["centred"]),
        node("Mul", ["centred", "centred"], ["squares"]),
        node("ReduceMean", ["squares"], ["variances"], axes=[2, 3], keepdims=0),
        node("ReduceSum", ["variances", "channels"], ["variance"], keepdims=1),
        node("Sqrt", ["variance"], ["deviation"]),
        node("ReduceL2", ["mean_map"], ["distance"], axes=[1, 2, 3], keepdims=0),
        node("Unsqueeze", ["distance", "channels"], ["distance_column"]),
        node("Mul", ["distance_column", "mean_factor"], ["offset"]),
        node("Add", ["deviation", "offset"], ["M"]),
    ]


def _weights() -> list[onnx.NodeProto]:
    """M [N, 1] to weights [N, 7]: how far M has risen through each span, less how far through the next."""
    node = helper.make_node
    return [
        node("Sub", ["M", "lower"], ["above"]),
        node("Div", ["above", "span"], ["rise"]),
        node("Clip", ["rise", "zero", "one"], ["risen"]),
        node("Pad", ["risen", "pad_before", "one"], ["entered"]),
        node("Pad", ["risen", "pad_after", "zero"], ["left"]),
        node("Sub", ["entered", "left"], ["probabilities"]),
    ]


if __name__ == "__main__":
    write()
