"""From protobuf messages to inference requests, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from server.contract.metadata import ITEM_BYTES, ModelMetadata
from server.web.oip import elements
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
from server.web.oip.numbers import NUMPY
from server.web.rpc import inference_pb2 as pb

Message = Any
"""A message of `inference_pb2`, which has no types."""
_AT_A_TIME = 16 * 1024  # numbers that are copied without letting other threads run
_MOST_ID = 1024
_FIELDS: Final = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents",
}  # fmt: skip
"""Where the numbers of each datatype stand; FP16 has no place but the raw contents."""


def is_slow(request: Message) -> bool:
    """Whether `inference_of` takes long enough to be called in a thread."""
    return not request.raw_input_contents and request.ByteSize() > 4 * _AT_A_TIME


def inference_of(request: Message) -> Inference:
    """What a ModelInferRequest asks for. Raises `InvalidInference`."""
    if len(request.id) > _MOST_ID:
        raise InvalidInference(f"an id has at most {_MOST_ID} characters")
    parameters = _parameters(request.parameters)
    check_request_parameters(parameters)
    return Inference(
        tuple(_inputs(request)),
        tuple(map(_wanted, request.outputs)),
        read_timeout(parameters),
        read_urgency(parameters),
    )


def response_of(model: ModelMetadata, id_: str, outputs: Sequence[OutputTensor]) -> Message:
    """A ModelInferResponse; its tensors are raw."""
    response = pb.ModelInferResponse(model_name=model.name, model_version=model.version, id=id_)
    for output in outputs:
        response.outputs.add(name=output.name, datatype=output.dtype, shape=output.shape)
        raw = output.data if output.elements is None else elements.pack(output.elements)
        response.raw_output_contents.append(raw)
    return response


def metadata_of(model: ModelMetadata, versions: Sequence[str], platform: str) -> Message:
    """A ModelMetadataResponse."""
    response = pb.ModelMetadataResponse(name=model.name, versions=versions, platform=platform)
    for tensors, specs in ((response.inputs, model.inputs), (response.outputs, model.outputs)):
        for spec in specs:
            tensors.add(name=spec.name, datatype=spec.dtype, shape=spec.shape)
    return response


def config_of(model: ModelMetadata, config: Mapping[str, Any]) -> Message:
    """A ModelConfigResponse."""
    response = pb.ModelConfigResponse()
    message = response.config
    message.name, message.platform, message.backend = model.name, config["platform"], config["backend"]
    message.max_batch_size = config["max_batch_size"]
    message.dynamic_batching.SetInParent()
    for tensors, specs in ((message.input, model.inputs), (message.output, model.outputs)):
        for spec in specs:
            tensors.add(name=spec.name, data_type=f"TYPE_{spec.dtype}", dims=spec.shape[1:])
    return response


def statistics_of(documents: Sequence[Mapping[str, Any]]) -> Message:
    """A ModelStatisticsResponse, from what REST answers."""
    response = pb.ModelStatisticsResponse()
    for document in documents:
        fields = {name: value for name, value in document.items() if name not in ("inference_stats", "batch_stats")}
        stats = response.model_stats.add(**fields).inference_stats
        for name, duration in document["inference_stats"].items():
            getattr(stats, name).CopyFrom(pb.StatisticDuration(**duration))
    return response


def _inputs(request: Message) -> Iterator[InputTensor]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidInference(f"{len(request.inputs)} inputs have {len(raw)} raw contents")
    for index, given in enumerate(request.inputs):
        check_tensor_parameters(_parameters(given.parameters))
        shape = tuple(given.shape)
        if any(side < 0 for side in shape):
            raise InvalidInference("a shape is a list of whole numbers")
        if given.datatype == "BYTES":
            images = elements.unpack(raw[index]) if raw else tuple(given.contents.bytes_contents)
            yield InputTensor(given.name, "BYTES", shape, elements=images)
        else:
            data = raw[index] if raw else _numbers(given)
            yield InputTensor(given.name, _known(given.datatype), shape, data)


def _known(datatype: str) -> str:
    if datatype not in ITEM_BYTES:
        raise InvalidInference(f"known datatypes are {', '.join(ITEM_BYTES)}, BYTES")
    return datatype


def _numbers(given: Message) -> bytes:
    """The typed contents of an input as its tensor's bytes."""
    field = _FIELDS.get(_known(given.datatype))
    if field is None:
        raise InvalidInference(f"send tensors of {given.datatype} as raw contents")
    values, dtype = getattr(given.contents, field), NUMPY[given.datatype]
    try:
        parts = (np.array(values[at : at + _AT_A_TIME], dtype) for at in range(0, len(values), _AT_A_TIME))
        return b"".join(part.tobytes() for part in parts)
    except OverflowError:
        raise InvalidInference("the data of a tensor has something that its datatype cannot hold") from None


def _wanted(output: Message) -> Wanted:
    parameters = _parameters(output.parameters)
    check_tensor_parameters(parameters)
    return Wanted(output.name, read_classes(parameters))


def _parameters(given: Mapping[str, Message]) -> dict[str, Parameter]:
    return {name: _value(parameter) for name, parameter in given.items()}


def _value(parameter: Message) -> Parameter:
    choice = parameter.WhichOneof("parameter_choice")
    value: Parameter = getattr(parameter, choice) if choice else None
    return value
