"""Models to measure with, built by code: the same bytes each time, nothing to download.

The weights are seeded noise, scaled so that activations stay finite and different pictures give different
answers. What a model costs depends on its shapes alone, so it costs what the trained one does. Batch
normalisation is folded into the convolutions, as every export for serving has it.

All take `image`, float32 (N, 3, 224, 224) or of another side, with N free, and give `logits`, float32 (N, classes).

To add a model: a function that takes a `Graph` and returns its last tensor's name, and its row in `MODELS`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

INPUT = "image"
SIDE = 224  # pixels
_OPSET, _IR = 17, 8  # old enough for every ONNX Runtime in use, new enough for all that is needed here
_SEED = 20_030_711
_GAIN = math.sqrt(2)  # after He et al.: a ReLU halves the variance, this restores it
_BRANCH = 0.3  # of the gain, at the end of a residual branch, of which there are 16: so that their sum stays small


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph, by name. `channels`: the size of its second dimension."""

    name: str
    channels: int


class Graph:
    """An ONNX graph in the making; each method adds a layer and gives its output."""

    def __init__(self, side: int = SIDE) -> None:
        """`side`: of the pictures, in pixels."""
        self.side = side
        self._random = np.random.default_rng(_SEED)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._scalars: dict[float, Tensor] = {}

    @property
    def image(self) -> Tensor:
        return Tensor(INPUT, 3)

    def conv(
        self, given: Tensor, out: int, size: int, *, stride: int = 1, groups: int = 1, gain: float = _GAIN
    ) -> Tensor:
        """A convolution with bias, padded so that stride 1 keeps the picture's size."""
        shape = (out, given.channels // groups, size, size)
        weights = [self._noise(shape, gain), self._bias(out)]
        pad = (size - 1) // 2
        return self._add(
            "Conv",
            [given, *weights],
            out,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=groups,
        )

    def dense(self, given: Tensor, out: int, *, gain: float = 1.0) -> Tensor:
        """A fully connected layer with bias, on a tensor of two dimensions."""
        weights = [self._noise((out, given.channels), gain), self._bias(out)]
        return self._add("Gemm", [given, *weights], out, transB=1)

    def relu(self, given: Tensor) -> Tensor:
        return self._add("Relu", [given], given.channels)

    def relu6(self, given: Tensor) -> Tensor:
        return self._add("Clip", [given, self._scalar(0), self._scalar(6)], given.channels)

    def add(self, one: Tensor, other: Tensor) -> Tensor:
        return self._add("Add", [one, other], one.channels)

    def max_pool(self, given: Tensor) -> Tensor:
        """The largest of 3x3, at stride 2."""
        return self._add("MaxPool", [given], given.channels, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)

    def average_pool(self, given: Tensor, size: int) -> Tensor:
        """The mean of each square of `size`, not overlapping."""
        return self._add("AveragePool", [given], given.channels, kernel_shape=[size, size], strides=[size, size])

    def flat_mean(self, given: Tensor) -> Tensor:
        """The mean of each channel: (N, channels)."""
        return self.flat(self._add("GlobalAveragePool", [given], given.channels), 1)

    def flat(self, given: Tensor, area: int) -> Tensor:
        """All of an item in a row, where a channel has `area` pixels."""
        return self._add("Flatten", [given], given.channels * area, axis=1)

    def model(self, name: str, last: Tensor) -> onnx.ModelProto:
        """The finished model, checked, with `last` as its output."""
        self._nodes.append(helper.make_node("Identity", [last.name], ["logits"]))
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, self.side, self.side])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", last.channels])],
            self._weights,
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="tureen")
        onnx.checker.check_model(model)
        return model

    def _add(self, kind: str, given: Sequence[Tensor], channels: int, **attributes: Any) -> Tensor:
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [one.name for one in given], [name], **attributes))
        return Tensor(name, channels)

    def _noise(self, shape: tuple[int, ...], gain: float) -> Tensor:
        fan_in = math.prod(shape[1:])
        values = self._random.standard_normal(shape, dtype=np.float32)
        return self._weight(values * np.float32(gain / math.sqrt(fan_in)))

    def _bias(self, size: int) -> Tensor:
        return self._weight(self._random.standard_normal(size, dtype=np.float32) * np.float32(0.05))

    def _scalar(self, value: float) -> Tensor:
        if value not in self._scalars:
            self._scalars[value] = self._weight(np.array(value, np.float32))
        return self._scalars[value]

    def _weight(self, values: NDArray[np.float32]) -> Tensor:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return Tensor(name, 0)


# ---- The models ----


def resnet50(graph: Graph) -> Tensor:
    """ResNet-50 v1 (He et al. 2015): 4.1 GFLOPs an image, counted as multiply-adds."""
    return _resnet(graph, (3, 4, 6, 3))


def resnet152(graph: Graph) -> Tensor:
    """ResNet-152 v1 (He et al. 2015): 11.5 GFLOPs an image, for devices to which ResNet-50 is cheap."""
    return _resnet(graph, (3, 8, 36, 3))


def _resnet(graph: Graph, blocks: Sequence[int]) -> Tensor:
    """Bottlenecks in four stages, the stride in a stage's first convolution. The more blocks, the less each adds."""
    gain = _BRANCH * math.sqrt(16 / sum(blocks))
    x = graph.max_pool(graph.relu(graph.conv(graph.image, 64, 7, stride=2)))
    for width, count, stride in zip((64, 128, 256, 512), blocks, (1, 2, 2, 2), strict=True):
        for block in range(count):
            x = _bottleneck(graph, x, width, stride if block == 0 else 1, gain)
    return graph.dense(graph.flat_mean(x), 1000)


def _bottleneck(graph: Graph, given: Tensor, width: int, stride: int, branch: float) -> Tensor:
    x = graph.relu(graph.conv(given, width, 1, stride=stride))
    x = graph.relu(graph.conv(x, width, 3))
    x = graph.conv(x, width * 4, 1, gain=_GAIN * branch)
    if given.channels != x.channels:
        given = graph.conv(given, x.channels, 1, stride=stride, gain=1.0)
    return graph.relu(graph.add(x, given))


def mobilenet_v2(graph: Graph) -> Tensor:
    """MobileNetV2 1.0 (Sandler et al. 2018): inverted residuals, ReLU6."""
    x = graph.relu6(graph.conv(graph.image, 32, 3, stride=2))
    for expansion, out, blocks, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(blocks):
            x = _inverted_residual(graph, x, expansion, out, stride if block == 0 else 1)
    return graph.dense(graph.flat_mean(graph.relu6(graph.conv(x, 1280, 1))), 1000)


def _inverted_residual(graph: Graph, given: Tensor, expansion: int, out: int, stride: int) -> Tensor:
    hidden = given.channels * expansion
    x = graph.relu6(graph.conv(given, hidden, 1)) if expansion > 1 else given
    x = graph.relu6(graph.conv(x, hidden, 3, stride=stride, groups=hidden))
    kept = stride == 1 and out == given.channels
    x = graph.conv(x, out, 1, gain=_BRANCH if kept else 1.0)
    return graph.add(x, given) if kept else x


def tiny(graph: Graph) -> Tensor:
    """A small net of about 0.1 ms an image: what is left to see is the server's own cost."""
    x = graph.relu(graph.conv(graph.average_pool(graph.image, 4), 16, 3, stride=2))
    x = graph.relu(graph.conv(x, 32, 3, stride=2))
    return graph.dense(graph.flat_mean(x), 10)


def wide(graph: Graph) -> Tensor:
    """Fully connected layers, 96 MB of weights read once a batch: 8 images cost about what 2 do alone."""
    side = graph.side // 32
    x = graph.flat(graph.average_pool(graph.image, 32), side * side)
    for out in (4096, 4608):
        x = graph.relu(graph.dense(x, out, gain=_GAIN))
    return graph.dense(x, 1000)


MODELS: Mapping[str, Callable[[Graph], Tensor]] = {
    "resnet50": resnet50,
    "resnet152": resnet152,
    "mobilenet_v2": mobilenet_v2,
    "tiny": tiny,
    "wide": wide,
}


def build(name: str, path: Path, side: int = SIDE) -> None:
    """Write the model called `name`, one of `MODELS`, for pictures of `side` x `side`, to `path`."""
    graph = Graph(side)
    model = graph.model(name, MODELS[name](graph))
    path.write_bytes(model.SerializeToString(deterministic=True))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description="Write a model to measure with.")
    parser.add_argument("name", choices=MODELS, help="which one")
    parser.add_argument("path", type=Path, metavar="OUT.onnx", help="where to")
    parser.add_argument("--side", type=int, default=SIDE, help="of its pictures, in pixels (default: %(default)s)")
    given = parser.parse_args(argv)
    build(given.name, given.path, given.side)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
