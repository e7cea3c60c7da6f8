"""Which files beside a model file hold its weights: ONNX's external data.

The model file is protobuf. Only the fields that lead to tensors are followed, and no tensor's own bytes are read, so
that large files cost little and the `onnx` package is not needed. The numbers are those of onnx.proto.
"""

import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from server.models.errors import ModelError

_LED_TO: Mapping[str, Mapping[int, str]] = {  # message -> field -> the message in it
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {13: "entry"},
}
_KEY, _VALUE = 1, 2  # of an entry

Span = tuple[int, int]
"""First byte, and the byte after the last."""


def external_files(model_file: Path) -> list[Path]:
    """The files of the model's external data, in the order of their names; what is no ONNX file has none.

    Raises `ModelError` for one that lies outside the model's folder, and `OSError` if the file cannot be read.
    """
    with model_file.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            names = sorted(set(_locations(data)))
    return [_inside(model_file.parent, name) for name in names]


def _inside(folder: Path, name: str) -> Path:
    path = os.path.normpath(name)
    if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir or "\0" in path:
        raise ModelError(f"its external data {name!r} lies outside the model's folder")
    return folder / path


def _locations(data: mmap.mmap) -> Iterator[str]:
    waiting: list[tuple[str, Span]] = [("model", (0, len(data)))]
    while waiting:
        kind, span = waiting.pop()
        if kind == "entry":
            entry = {number: data[first:last] for number, (first, last) in _fields(data, span)}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode("utf-8", "surrogateescape")
            continue
        led_to = _LED_TO[kind]
        waiting += ((led_to[number], inner) for number, inner in _fields(data, span) if number in led_to)


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, Span]]:
    """Number and place of each field that has a length. Ends where the bytes are no protobuf."""
    at, end = span
    while at < end:
        tag, at = _varint(data, at, end)
        match tag & 7:  # the wire type
            case 0:
                _, at = _varint(data, at, end)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, at = _varint(data, at, end)
                if at + length > end:
                    return
                yield tag >> 3, (at, at + length)
                at += length
            case _:
                return


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits per byte, the lowest first; and where it ends. A broken one ends with the message."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, end
