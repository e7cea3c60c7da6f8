"""The frames between an engine and its workers (`server.contract.framing`).

Times are absolute seconds of CLOCK_MONOTONIC: both ends are on one host.
"""

from typing import BinaryIO, Literal

from server.contract import framing
from server.contract.framing import MAX_HEADER, MAX_PAYLOAD, Codec, Message, WireError
from server.contract.metadata import ModelMetadata, TensorSpec
from server.contract.task import Want

__all__ = ["MAX_HEADER", "MAX_PAYLOAD", "FrameReader", "WireError", "frame", "head", "read_frame"]


class Load(Message, frozen=True):
    """To a worker, first and once: serve this model, on this provider and on no other.

    `device`: the GPU's index. `cuda_graphs`: record them there. `gpu_memory_limit`: bytes the model may take of its
    memory; 0 is all. `decoders`: how many images it decodes at a time beside a GPU. `threads`: how many run the model
    on a CPU. `batch`: images in a batch that pays; 0 is what warming up finds. `benchmark`: say `Loaded` and be tried
    out, until told to `Begin`. `precision`: as the model's file is, or converted to float16. `memory_growth`: bytes by
    which it may outgrow what it has when it is ready; 0 is no limit. `digest`: of the model; no other is served. Empty:
    whatever is there.
    """

    model: str
    max_batch: int
    max_pixels: int
    provider: Literal["cpu", "cuda"] = "cpu"
    device: int = 0
    decoders: int = 1
    threads: int = 1
    batch: int = 0
    benchmark: bool = False
    cuda_graphs: bool = False
    gpu_memory_limit: int = 0
    precision: Literal["model", "fp16"] = "model"
    memory_growth: int = 0
    digest: str = ""


class Prepare(Message, frozen=True):
    """To a worker in its start-up benchmark: open the model once more, for this number of threads; answered
    `Prepared`."""

    threads: int


class Trial(Message, frozen=True):
    """To a worker in its start-up benchmark: from `begin` on, decode and run batches of `size` for `seconds`; answered
    `TrialResult`.

    `threads`: of the model as it was loaded or prepared.
    """

    threads: int
    size: int
    begin: float
    seconds: float


class Begin(Message, frozen=True):
    """To a worker in its start-up benchmark: serve, with so many threads; answered `Ready`."""

    threads: int


class ImageItem(Message, frozen=True):
    """To a worker: an encoded image (the payload) of `pixels` by its header, to be answered before `deadline`."""

    seq: int
    model: str
    version: str
    want: Want
    deadline: float
    pixels: int
    share: bool = False
    """Answer `Shared`, too, once it is decoded."""


class TensorItem(Message, frozen=True):
    """To a worker: one image (the payload) as the model's input takes it, to be answered before `deadline`."""

    seq: int
    model: str
    version: str
    want: Want
    deadline: float
    dtype: str
    shape: tuple[int, ...]


class Separate(Message, frozen=True):
    """To a worker: run images one at a time from now on."""


class Drop(Message, frozen=True):
    """To a worker: nobody waits for this item any more."""

    seq: int


class Ready(Message, frozen=True):
    """From a worker: the model is loaded and warm; it may be sent up to `grant` images at once. `batch_seconds`: what
    batches of these sizes take the model."""

    model: ModelMetadata
    grant: int
    batch_seconds: dict[int, float]


class Loaded(Message, frozen=True):
    """From a worker: its start-up benchmark may begin. Warming up found that a batch of `batch` pays, in `batch_s`
    seconds; opening took `open_s`."""

    batch: int
    batch_s: float
    open_s: float


class Prepared(Message, frozen=True):
    """From a worker: done as told."""


class TrialResult(Message, frozen=True):
    """From a worker: a batch took `batch_s` (the lower quartile of `batches`), and `cpu_s` of CPU time."""

    batch_s: float
    cpu_s: float
    batches: int


class TrialFailed(Message, frozen=True):
    """From a worker: what it was told in its start-up benchmark cannot be done; `reason` is for people."""

    reason: str


class LoadFailed(Message, frozen=True):
    """From a worker: this model cannot be served; another try would fail the same way."""

    reason: str


class Done(Message, frozen=True):
    """From a worker: an answer. The payload is JSON, the members of `ModelAnswer` without the braces; or,
    where tensors were wanted, one after the other what `tensors` describes."""

    seq: int
    model: str
    version: str
    begun: float
    """When its decoding began."""
    decode_s: float
    infer_s: float
    batch: int
    tensors: tuple[TensorSpec, ...] = ()
    features: tuple[float, ...] = ()
    """Of a sample of the images, what is watched for drift (`server.drift.features`); else empty."""
    run_begun: float = 0.0
    """When the model's run of its batch began."""


class Shared(Message, frozen=True):
    """From a worker: the image (the payload) as the model's input takes it. Its answer follows."""

    seq: int
    dtype: str
    shape: tuple[int, ...]


class Rejected(Message, frozen=True):
    """From a worker: the image is at fault. `code` is one of preprocess.errors."""

    seq: int
    code: str


class Overspent(Message, frozen=True):
    """From a worker, last: decoding the image took far more CPU than it should, and ends the worker. What else it has
    is not to blame."""

    seq: int


class Misfit(Message, frozen=True):
    """From a worker: the tensor does not fit the model's input; `reason` is for the client."""

    seq: int
    reason: str


class Broken(Message, frozen=True):
    """From a worker: the model is at fault; `reason` is for the log."""

    seq: int
    reason: str


class Skipped(Message, frozen=True):
    """From a worker: dropped, or past its deadline, before any work on it began."""

    seq: int


class Dependent(Message, frozen=True):
    """From a worker: an image was answered otherwise in a batch than alone (`reason`, for the log). `separate`: so it
    runs images one at a time from now on."""

    reason: str
    separate: bool


class Ran(Message, frozen=True):
    """From a worker: a batch of `size` took the model `seconds`."""

    model: str
    version: str
    size: int
    seconds: float


Order = Prepare | Trial | Begin
"""What a worker is told in its start-up benchmark."""
AnyMessage = (
    Load | Order | ImageItem | TensorItem | Separate | Drop | Loaded | Prepared | TrialResult | TrialFailed | Ready
    | LoadFailed | Shared | Done | Rejected | Overspent | Misfit | Broken | Skipped | Dependent | Ran
)  # fmt: skip
Frame = tuple[AnyMessage, bytes]

_codec: Codec[AnyMessage] = Codec(AnyMessage)

head = _codec.head
frame = _codec.frame


class FrameReader(framing.FrameReader[AnyMessage]):
    """Bytes in, frames out."""

    def __init__(self) -> None:
        super().__init__(_codec)


def read_frame(stream: BinaryIO) -> Frame | None:
    """The next frame of a blocking stream; None at a clean end. Raises `WireError`."""
    return _codec.read(stream)
