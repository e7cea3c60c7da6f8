"""Channels that no picture changes: removed exactly, so that the answers stay the same.

A convolution's output channel whose weights are all zero gives the same value everywhere: its bias. Where the bias is
zero as well, nothing that reads it feels it, and both weights can go. Structured pruning in training leaves that
behind. Only the plainest form is taken: convolution, ReLU or nothing, convolution.

Weights that are zero here and there are no gain: ONNX Runtime's kernels multiply them as any others. `zero_smallest`
makes such a model all the same, so that the user sees it measured.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

_KEEPS_ZERO = ("Relu", "Identity")


Proto = Any
"""What `onnx` gives: it has no types."""


def remove_dead_channels(model: Proto) -> int:
    """Shrink the convolutions of an `onnx.ModelProto` in place; how many channels went."""
    from onnx import numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    given = {output.name for output in graph.output}
    removed = 0
    for node in graph.node:
        reader = _only_reader(node, readers, given)
        if reader is None or not _is_plain(node, weights) or not _is_plain(reader, weights):
            continue
        parameters = [name for name in (*node.input[1:], reader.input[1]) if name]
        if any(len(readers[name]) > 1 for name in parameters):
            continue
        alive = _alive(node, weights)
        if alive.all() or not alive.any():
            continue
        for name, axis in [*((name, 0) for name in node.input[1:]), (reader.input[1], 1)]:
            values = np.compress(alive, numpy_helper.to_array(weights[name]), axis=axis)
            weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))
        removed += int((~alive).sum())
    if removed:
        del graph.value_info[:]  # they say the old shapes
    return removed


def zero_smallest(model: Proto, share: float) -> None:
    """Set this share of the weights of each convolution and matrix product to zero: those of the least magnitude."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm") and (tensor := weights.get(node.input[1])):
            values = numpy_helper.to_array(tensor).copy()
            values[np.abs(values) < np.quantile(np.abs(values), share)] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _only_reader(node: Proto, readers: Mapping[str, list[Proto]], given: set[str]) -> Proto:
    """The convolution that alone reads this one, behind at most one function that keeps zero; else None."""
    if node.op_type != "Conv":
        return None
    name = node.output[0]
    for _ in range(2):
        if name in given or len(readers[name]) != 1:
            return None
        (reader,) = readers[name]
        if reader.op_type == "Conv":
            return reader if reader.input[0] == name else None
        if reader.op_type not in _KEEPS_ZERO:
            return None
        name = reader.output[0]
    return None


def _is_plain(node: Proto, weights: Mapping[str, Proto]) -> bool:
    groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
    return groups in ([], [1]) and all(name in weights for name in node.input[1:] if name)


def _alive(node: Proto, weights: Mapping[str, Proto]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each output channel is ever other than zero."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(weights[node.input[1]])
    alive = np.abs(values).reshape(len(values), -1).any(axis=1)
    if len(node.input) > 2 and node.input[2]:
        alive = alive | (numpy_helper.to_array(weights[node.input[2]]) != 0)
    return np.asarray(alive)
