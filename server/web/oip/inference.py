"""An inference request as both protocols mean it: named tensors in, named tensors out. Values only.

Texts of errors go to the client. They tell what the model takes; they repeat nothing that a client sent but numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from batcher.policy import DEFAULT_URGENCY, LEAST_URGENT
from server.web.errors import RequestError

MOST_ENTRIES: Final = 256
"""Images in one request: its batch dimension."""
_LONGEST_TIMEOUT_US: Final = 600_000_000
_MOST_CLASSES: Final = 100_000

Parameter = bool | int | float | str | None


class InvalidInference(RequestError):
    """The request cannot be understood or does not fit the model; the message says what would."""

    def __init__(self, detail: str, code: str = "bad_inference") -> None:
        super().__init__(code)
        self.detail = detail


class EntryFailed(Exception):
    """One image of several could not be answered, so none is: a response has no place for the error of one."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(f"entry {index}: {error}")
        self.index = index
        self.error = error


class InputTensor(NamedTuple):
    """An input. `data`: in C order, little-endian; `elements`: of a BYTES tensor, instead."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview = b""
    elements: tuple[bytes, ...] | None = None


class OutputTensor(NamedTuple):
    """An output, as `InputTensor`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes = b""
    elements: tuple[bytes, ...] | None = None


class Wanted(NamedTuple):
    """An output that is asked for; `classes`: as so many best classes instead of values; 0 is values."""

    name: str
    classes: int = 0


class Inference(NamedTuple):
    """What a client asks for. No `outputs`: all of them. `timeout_s`: None where the request names none."""

    inputs: tuple[InputTensor, ...]
    outputs: tuple[Wanted, ...] = ()
    timeout_s: float | None = None
    urgency: int | None = None


def read_timeout(parameters: Mapping[str, Parameter]) -> float | None:
    """Seconds of the parameter `timeout`, which is in microseconds; 0 is none. Raises `InvalidInference`."""
    timeout = parameters.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, int) or not 0 <= timeout <= _LONGEST_TIMEOUT_US:
        raise InvalidInference("timeout must be a whole number of microseconds, up to 600000000")
    return timeout / 1e6 if timeout else None


def read_urgency(parameters: Mapping[str, Parameter]) -> int | None:
    """The parameter `priority` as an urgency: 1 is the most urgent, 0 the default. Raises `InvalidInference`."""
    priority = parameters.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int) or priority < 0:
        raise InvalidInference("priority must be a whole number: 1 is the most urgent, 0 the default")
    return min(priority - 1, LEAST_URGENT) if priority else None


def urgency_of(inference: Inference, otherwise: int = DEFAULT_URGENCY) -> int:
    """The urgency that a request asks for; `otherwise` where its parameters say nothing."""
    return otherwise if inference.urgency is None else inference.urgency


def check_request_parameters(parameters: Mapping[str, Parameter]) -> None:
    """Refuse what would change the meaning of the request and is not known here. Raises `InvalidInference`."""
    if any(parameters.get(name) for name in ("sequence_id", "sequence_start", "sequence_end")):
        raise InvalidInference("this server knows no sequences: each request stands for itself")


def check_tensor_parameters(parameters: Mapping[str, Parameter]) -> None:
    """Raises `InvalidInference` for tensors in shared memory."""
    if any(name.startswith("shared_memory") for name in parameters):
        raise InvalidInference("this server does not use shared memory: send tensors in the request")


def read_classes(parameters: Mapping[str, Parameter]) -> int:
    """The parameter `classification` of an output. Raises `InvalidInference`."""
    classes = parameters.get("classification", 0)
    if isinstance(classes, bool) or not isinstance(classes, int) or not 0 <= classes <= _MOST_CLASSES:
        raise InvalidInference(f"classification must be a whole number, 0 to {_MOST_CLASSES}")
    return classes


def names(tensors: Sequence[InputTensor | Wanted]) -> list[str]:
    """For finding what is there twice."""
    return [tensor.name for tensor in tensors]
