"""Inference requests over REST: a JSON document, and behind it, if its header says so, tensors as they are.

The extension for binary tensors: `Inference-Header-Content-Length` is the length of the JSON; behind it follow the
inputs with `binary_data_size`, in their order. A response is built the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar, TypeVarTuple

import anyio
import msgspec

from server.contract.metadata import ITEM_BYTES
from server.web.oip import elements, numbers
from server.web.oip.inference import (
    Inference,
    InputTensor,
    InvalidInference,
    OutputTensor,
    Parameter,
    Wanted,
    check_request_parameters,
    check_tensor_parameters,
    read_classes,
    read_timeout,
    read_urgency,
)
from server.web.response import RawHeaders

HEADER_LENGTH = "Inference-Header-Content-Length"
_HEADER_LENGTH = HEADER_LENGTH.lower().encode()
_IN_A_THREAD = 64 * 1024  # bytes of JSON from which on numbers are decoded in a thread
_MOST_SIDES = 16
_MOST_ID = 1024
_LARGEST_SIDE = 2**40
_MOST_IN_JSON = 4_000_000  # numbers of one response


_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Parameter] = {}
    data: msgspec.Raw = msgspec.Raw()


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Parameter] = {}


class _Document(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Parameter] = {}
    outputs: list[_Output] = []


class Call(NamedTuple):
    """A request, and how its response is to look. `binary`: outputs that go behind the JSON; None: all of them."""

    inference: Inference
    id: str
    binary: frozenset[str] | None


_decode = msgspec.json.Decoder(_Document).decode


async def read(body: bytes, headers: Mapping[bytes, bytes]) -> Call:
    """The request in a body. Raises `InvalidInference`. Large lists of numbers are decoded in a thread."""
    length = _header_length(headers.get(_HEADER_LENGTH), len(body))
    try:
        document = _decode(memoryview(body)[:length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidInference("the body is no inference request in JSON") from None
    if len(document.id) > _MOST_ID:
        raise InvalidInference(f"an id has at most {_MOST_ID} characters")
    check_request_parameters(document.parameters)
    inputs, at = [], length
    for given in document.inputs:
        size = _binary_size(given, len(body) - at)
        inputs.append(await _input(given, None if size is None else memoryview(body)[at : at + size]))
        at += size or 0
    if at != len(body):
        raise InvalidInference("the body is longer than its tensors")
    parameters = document.parameters
    inference = Inference(
        tuple(inputs), tuple(map(_wanted, document.outputs)), read_timeout(parameters), read_urgency(parameters)
    )
    return Call(inference, document.id, _binary(document))


def write(model: str, version: str, call: Call, outputs: Sequence[OutputTensor]) -> tuple[RawHeaders, bytes]:
    """The response's headers and body. Raises `InvalidInference` for more numbers than fit into JSON."""
    described, behind = [], []
    for output in outputs:
        one: dict[str, object] = {"name": output.name, "datatype": output.dtype, "shape": output.shape}
        if call.binary is None or output.name in call.binary:
            data = output.data if output.elements is None else elements.pack(output.elements)
            one["parameters"] = {"binary_data_size": len(data)}
            behind.append(data)
        else:
            one["data"] = _as_json(output)
        described.append(one)
    named = {"id": call.id} if call.id else {}
    document = msgspec.json.encode({"model_name": model, "model_version": version, **named, "outputs": described})
    if not behind:
        return [(b"content-type", b"application/json")], document
    headers = [(b"content-type", b"application/octet-stream"), (_HEADER_LENGTH, b"%d" % len(document))]
    return headers, b"".join((document, *behind))


def _header_length(given: bytes | None, size: int) -> int:
    if given is None:
        return size
    if not (given.isdigit() and len(given) <= 12 and int(given) <= size):
        raise InvalidInference(f"{HEADER_LENGTH} must be a number of bytes within the body")
    return int(given)


def _binary_size(given: _Input, left: int) -> int | None:
    size = given.parameters.get("binary_data_size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
        raise InvalidInference("binary_data_size must be a number of bytes within the body")
    return size


async def _input(given: _Input, binary: memoryview | None) -> InputTensor:
    check_tensor_parameters(given.parameters)
    shape = _shape(given.shape)
    if given.datatype == "BYTES":
        images = await _aside(numbers.images_from_json, given.data) if binary is None else elements.unpack(binary)
        return InputTensor(given.name, "BYTES", shape, elements=images)
    if given.datatype not in ITEM_BYTES:
        raise InvalidInference(f"known datatypes are {', '.join(ITEM_BYTES)}, BYTES")
    if binary is not None:
        return InputTensor(given.name, given.datatype, shape, binary)
    return InputTensor(given.name, given.datatype, shape, await _decoded(given, shape))


def _shape(given: Sequence[int]) -> tuple[int, ...]:
    if len(given) > _MOST_SIDES or any(not 0 <= side <= _LARGEST_SIDE for side in given):
        raise InvalidInference("a shape is a list of whole numbers")
    return tuple(given)


async def _decoded(given: _Input, shape: Sequence[int]) -> bytes:
    count = 1
    for side in shape:
        count *= side
    return await _aside(numbers.from_json, given.data, given.datatype, count)


async def _aside(decode: Callable[[memoryview, *_Ts], _T], raw: msgspec.Raw | memoryview, *rest: *_Ts) -> _T:
    """Decode it, in a thread where that takes long."""
    view = memoryview(raw)
    if len(view) < _IN_A_THREAD:
        return decode(view, *rest)
    return await anyio.to_thread.run_sync(decode, view, *rest)


def _wanted(output: _Output) -> Wanted:
    check_tensor_parameters(output.parameters)
    return Wanted(output.name, read_classes(output.parameters))


def _binary(document: _Document) -> frozenset[str] | None:
    by_default = document.parameters.get("binary_data_output") is True
    if not document.outputs:
        return None if by_default else frozenset()
    return frozenset(one.name for one in document.outputs if one.parameters.get("binary_data", by_default) is True)


def _as_json(output: OutputTensor) -> object:
    if output.elements is not None:
        return [element.decode() for element in output.elements]
    if len(output.data) // ITEM_BYTES[output.dtype] > _MOST_IN_JSON:
        raise InvalidInference(f"over {_MOST_IN_JSON} numbers: ask for this output as binary data")
    return numbers.to_json(output.data, output.dtype)
