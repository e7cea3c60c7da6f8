"""The frames between dispatch and its workers: a typed header (msgpack) and raw payload bytes. No pickle.

    +-------------+----------------+-------------------+--------------+
    | u32 header  | u32 payload    | header            | payload      |
    | length, LE  | length, LE     | (tagged msgpack)  | (raw bytes)  |
    +-------------+----------------+-------------------+--------------+

Times are absolute seconds of CLOCK_MONOTONIC: both ends are on one host. Reading is sans-io (`FrameReader`)
for the event loop, and from a blocking file (`read_frame`) for the worker; a frame that breaks a limit or
does not decode raises `WireError`, after which the stream is of no use.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

import msgspec

MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 1 << 30

_PREFIX = struct.Struct("<II")


class WireError(Exception):
    """The other end does not speak this protocol, or not any more."""


class Message(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """Base of every frame's header."""


class Load(Message, frozen=True):
    """To a worker, first and once: serve this model, on this provider and on no other.

    `device`: the GPU's index. `cuda_graphs`: record them there. `gpu_memory_limit`: bytes the model may take of its
    memory; 0 is all. `decoders`: how many images it decodes at a time beside a GPU. `threads`: how many run the model
    on a CPU. `batch`: images in a batch that pays; 0 is what warming up finds. `audition`: say `Loaded` and be tried
    out, until told to `Begin`. `precision`: as the model's file is, or converted to float16.
    """

    model: str
    max_batch: int
    max_pixels: int
    provider: Literal["cpu", "cuda"] = "cpu"
    device: int = 0
    decoders: int = 1
    threads: int = 1
    batch: int = 0
    audition: bool = False
    cuda_graphs: bool = False
    gpu_memory_limit: int = 0
    precision: Literal["model", "fp16"] = "model"


class Prepare(Message, frozen=True):
    """To a worker in its audition: open the model once more, to be run by so many threads; answered `Prepared`."""

    threads: int


class Trial(Message, frozen=True):
    """To a worker in its audition: from `begin` on, decode and run batches of `size` for `seconds`; answered `Tried`.

    `threads`: of the model as it was loaded or prepared.
    """

    threads: int
    size: int
    begin: float
    seconds: float


class Begin(Message, frozen=True):
    """To a worker in its audition: serve, with so many threads; answered `Ready`."""

    threads: int


class Item(Message, frozen=True):
    """To a worker: an encoded image (the payload) of `pixels` by its header, to be answered before `deadline`."""

    seq: int
    deadline: float
    pixels: int


class Drop(Message, frozen=True):
    """To a worker: nobody waits for this item any more."""

    seq: int


class Ready(Message, frozen=True):
    """From a worker: the model is loaded and warm; it may be sent up to `grant` images at once."""

    name: str
    version: str
    digest: str
    input: str
    provider: str
    grant: int
    batch_seconds: dict[int, float]
    output: str = ""
    warnings: tuple[str, ...] = ()
    """What the operator should know about the model."""


class Loaded(Message, frozen=True):
    """From a worker: its audition may begin. `batch` pays, by what warming up found, and takes the model `batch_s`;
    opening took `open_s`."""

    batch: int
    batch_s: float
    open_s: float


class Prepared(Message, frozen=True):
    """From a worker: done as told."""


class Tried(Message, frozen=True):
    """From a worker: a batch took `batch_s` (the lower quartile of `batches`), and `cpu_s` of CPU time."""

    batch_s: float
    cpu_s: float
    batches: int


class TrialFailed(Message, frozen=True):
    """From a worker: what it was told in its audition cannot be done; `reason` is for people."""

    reason: str


class LoadFailed(Message, frozen=True):
    """From a worker: this model cannot be served; another try would fail the same way."""

    reason: str


class Done(Message, frozen=True):
    """From a worker: an answer. The payload is JSON: the members the model adds to the response."""

    seq: int
    begun: float
    """When its decoding began."""
    decode_s: float
    infer_s: float
    batch: int


class Rejected(Message, frozen=True):
    """From a worker: the image is at fault. `code` is one of preprocess.errors."""

    seq: int
    code: str


class Broken(Message, frozen=True):
    """From a worker: the model is at fault; `reason` is for the log."""

    seq: int
    reason: str


class Skipped(Message, frozen=True):
    """From a worker: dropped, or past its deadline, before any work on it began."""

    seq: int


class Ran(Message, frozen=True):
    """From a worker: a batch of `size` took the model `seconds`."""

    size: int
    seconds: float


Order = Prepare | Trial | Begin
"""What a worker is told in its audition."""
AnyMessage = (
    Load | Order | Item | Drop | Loaded | Prepared | Tried | TrialFailed | Ready | LoadFailed | Done | Rejected
    | Broken | Skipped | Ran
)  # fmt: skip
Frame = tuple[AnyMessage, bytes]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def head(message: AnyMessage, payload_length: int = 0) -> bytes:
    """Everything of a frame before its payload, so that a payload need not be copied to be sent."""
    header = _encoder.encode(message)
    return _PREFIX.pack(len(header), payload_length) + header


def frame(message: AnyMessage, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return head(message, len(payload)) + payload


class FrameReader:
    """Bytes in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Take what arrived; yield every frame that is complete now. Raises `WireError`."""
        self._buffer += data
        while (parsed := self._next()) is not None:
            yield parsed

    def _next(self) -> Frame | None:
        if len(self._buffer) < _PREFIX.size:
            return None
        header_length, payload_length = _lengths(self._buffer)
        start = _PREFIX.size + header_length
        end = start + payload_length
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            message = _message(view[_PREFIX.size : start])
            payload = bytes(view[start:end])
        del self._buffer[:end]
        return message, payload


def read_frame(stream: BinaryIO) -> Frame | None:
    """The next frame of a blocking stream; None at a clean end. Raises `WireError`."""
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    header_length, payload_length = _lengths(_whole(prefix, _PREFIX.size))
    message = _message(_whole(stream.read(header_length), header_length))
    return message, _whole(stream.read(payload_length), payload_length)


def _whole(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise WireError(f"the stream ended inside a frame: {len(data)} of {length} bytes")
    return data


def _lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    header_length, payload_length = _PREFIX.unpack_from(prefix)
    if header_length > MAX_HEADER or payload_length > MAX_PAYLOAD:
        raise WireError(f"a frame of {header_length} + {payload_length} bytes is past the limit")
    return header_length, payload_length


def _message(header: bytes | memoryview) -> AnyMessage:
    try:
        return _decoder.decode(header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message: {error}") from error
