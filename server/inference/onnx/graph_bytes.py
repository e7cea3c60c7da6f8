"""A small ONNX graph as the bytes of its file, written by hand: the `onnx` package is not needed to serve.

The format is protobuf: fields of a number, a wire type and a value, in any order. Only what such a graph needs is
here; the numbers are those of onnx.proto. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

# Old on purpose, as in server/demo/build.py: every ONNX Runtime we support reads them.
_IR_VERSION = 8
_OPSET = 17

_VARINT, _BYTES = 0, 2  # wire types
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


class Type(IntEnum):
    """Element types, by their numbers in TensorProto.DataType."""

    FLOAT32 = 1
    UINT8 = 2
    INT32 = 6
    INT64 = 7
    FLOAT16 = 10
    FLOAT64 = 11


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. `attributes`: whole numbers, or lists of them."""

    op: str
    inputs: Sequence[str]
    output: str
    attributes: Mapping[str, int | Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """An input or an output; a dimension that is free has a name."""

    name: str
    type: Type
    shape: Sequence[int | str]


def model(nodes: Sequence[Node], given: Value, result: Value, constants: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The file of a graph of one input and one output; `nodes` in the order in which they are run."""
    graph = [
        *(_message(1, _node(node)) for node in nodes),
        _text(2, "tureen"),
        *(_message(5, _tensor(name, array)) for name, array in constants.items()),
        _message(11, _value(given)),
        _message(12, _value(result)),
    ]
    opset = [_text(1, ""), _number(2, _OPSET)]
    return b"".join([_number(1, _IR_VERSION), _text(2, "tureen"), _message(7, graph), _message(8, opset)])


def _node(node: Node) -> Iterable[bytes]:
    yield from (_text(1, name) for name in node.inputs)
    yield _text(2, node.output)
    yield _text(4, node.op)
    yield from (_message(5, _attribute(*each)) for each in node.attributes.items())


def _attribute(name: str, value: int | Sequence[int]) -> Iterable[bytes]:
    yield _text(1, name)
    if isinstance(value, int):
        yield from (_number(3, value), _number(20, _INT))
    else:
        yield from (_number(8, each) for each in value)
        yield _number(20, _INTS)


def _tensor(name: str, array: NDArray[np.float32]) -> Iterable[bytes]:
    yield from (_number(1, side) for side in array.shape)
    yield _number(2, Type.FLOAT32)
    yield _text(8, name)
    yield _blob(9, array.astype("<f4").tobytes())


def _value(value: Value) -> Iterable[bytes]:
    shape = (_message(1, [_text(2, side) if isinstance(side, str) else _number(1, side)]) for side in value.shape)
    tensor = [_number(1, value.type), _message(2, shape)]
    return [_text(1, value.name), _message(2, [_message(1, tensor)])]


def _message(number: int, fields: Iterable[bytes]) -> bytes:
    return _blob(number, b"".join(fields))


def _text(number: int, text: str) -> bytes:
    return _blob(number, text.encode())


def _blob(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth set. `value` is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
