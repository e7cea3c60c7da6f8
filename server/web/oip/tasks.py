"""From an inference request to tasks, one per entry of its batch; and from their answers to output tensors. Pure."""

from collections.abc import Sequence
from math import prod

import numpy as np

from preprocess.errors import ImageError
from preprocess.header import Header, read_header
from preprocess.limits import Limits
from server.contract.answer import Answer, Tensor
from server.contract.errors import ModelFailed
from server.contract.metadata import FREE, ITEM_BYTES, ModelMetadata, TensorSpec
from server.contract.task import ImageTask, Task, TensorTask
from server.web.oip.inference import (
    MOST_ENTRIES,
    EntryFailed,
    Inference,
    InputTensor,
    InvalidInference,
    OutputTensor,
    Wanted,
)
from server.web.oip.numbers import NUMPY

_SIDES_OF_IMAGES = (1, 2)  # dimensions of a BYTES tensor: [N] or [N, 1]


def tasks_for(inference: Inference, model: ModelMetadata, version: str, limits: Limits) -> list[Task]:
    """One task per image. `version`: as it was asked for; none lets the engine choose.

    Raises `InvalidInference`; `EntryFailed` for an image that is refused by its header."""
    wanted = model.inputs[0]
    if [tensor.name for tensor in inference.inputs] != [wanted.name]:
        raise InvalidInference(f"this model takes one input: {_either(wanted)}")
    _check_outputs(inference.outputs, model)
    given = inference.inputs[0]
    _check_count(given)
    if given.dtype == "BYTES":
        headers = _headers(given, limits)
        pairs = zip(given.elements or (), headers, strict=True)
        return [ImageTask(image, header, "tensors", model.name, version) for image, header in pairs]
    sides = given.shape[1:]
    return [TensorTask(row, given.dtype, sides, "tensors", model.name, version) for row in _rows(given, wanted)]


def outputs_of(inference: Inference, model: ModelMetadata, answers: Sequence[Answer]) -> list[OutputTensor]:
    """The outputs asked for, the answers' rows one after the other. Raises `ModelFailed`, `InvalidInference`."""
    wanted = inference.outputs or tuple(Wanted(spec.name) for spec in model.outputs)
    return [_output(one, [_named(answer, one.name) for answer in answers], model) for one in wanted]


def _either(spec: TensorSpec) -> str:
    return f"{spec}, or {spec.name} BYTES [N] with encoded images"


def _check_outputs(wanted: Sequence[Wanted], model: ModelMetadata) -> None:
    known = [spec.name for spec in model.outputs]
    if not {one.name for one in wanted} <= set(known):
        raise InvalidInference(f"this model gives {', '.join(map(str, model.outputs))}")
    if len({one.name for one in wanted}) < len(wanted):
        raise InvalidInference("an output is asked for twice")


def _check_count(given: InputTensor) -> None:
    if not given.shape or not 1 <= given.shape[0] <= MOST_ENTRIES:
        raise InvalidInference(f"the first dimension is the number of images: 1 to {MOST_ENTRIES}")


def _headers(given: InputTensor, limits: Limits) -> list[Header]:
    elements = given.elements or ()
    if len(given.shape) not in _SIDES_OF_IMAGES or prod(given.shape) != given.shape[0]:
        raise InvalidInference("a BYTES tensor of images has the shape [N] or [N, 1]")
    if len(elements) != given.shape[0]:
        raise InvalidInference(f"the shape asks for {given.shape[0]} elements, the data has {len(elements)}")
    headers: list[Header] = []
    for index, element in enumerate(elements):
        try:
            headers.append(read_header(element, limits))
        except ImageError as error:
            raise (EntryFailed(index, error) if len(elements) > 1 else error) from None
    return headers


def _rows(given: InputTensor, wanted: TensorSpec) -> list[bytes]:
    if given.dtype != wanted.dtype or not _fits(given.shape, wanted.shape):
        raise InvalidInference(f"this model takes {_either(wanted)}")
    count, size = given.shape[0], prod(given.shape[1:]) * ITEM_BYTES[wanted.dtype]
    if len(given.data) != count * size:
        raise InvalidInference(f"the shape asks for {count * size} bytes, the data has {len(given.data)}")
    view = memoryview(given.data)
    return [bytes(view[index * size : (index + 1) * size]) for index in range(count)]


def _fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether the sides after the first are the model's, where it leaves none open."""
    return len(shape) == len(wanted) and all(
        given >= 1 and side in (FREE, given) for given, side in zip(shape[1:], wanted[1:], strict=True)
    )


def _named(answer: Answer, name: str) -> Tensor:
    for tensor in answer.reply.tensors:
        if tensor.spec.name == name:
            return tensor
    raise ModelFailed("an output that the model lists is missing")


def _output(wanted: Wanted, rows: Sequence[Tensor], model: ModelMetadata) -> OutputTensor:
    spec = rows[0].spec
    if any(row.spec.shape != spec.shape for row in rows):
        raise ModelFailed("the outputs of these images differ in shape: they are no tensor together")
    if wanted.classes:
        return _classes(wanted, rows, model.labels)
    data = rows[0].data if len(rows) == 1 else b"".join(row.data for row in rows)
    return OutputTensor(wanted.name, spec.dtype, (len(rows), *spec.shape), data)


def _classes(wanted: Wanted, rows: Sequence[Tensor], labels: Sequence[str]) -> OutputTensor:
    """`value:index:label` of the best classes of each row, best first; without the label where there is none."""
    found: list[bytes] = []
    for row in rows:
        values = np.frombuffer(row.data, NUMPY[row.spec.dtype])
        ranked = np.argsort(-values.astype(np.float64), kind="stable")[: wanted.classes]
        found += (f"{values[index]:f}:{index}{_label(labels, index, len(values))}".encode() for index in ranked)
    return OutputTensor(wanted.name, "BYTES", (len(rows), len(found) // len(rows)), elements=tuple(found))


def _label(labels: Sequence[str], index: int, classes: int) -> str:
    return f":{labels[index]}" if len(labels) == classes else ""
