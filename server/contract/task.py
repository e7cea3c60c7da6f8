"""What comes in: one image to be answered, still encoded, or one tensor that somebody has prepared already."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from preprocess.cost import decode_seconds
from preprocess.header import Header

Want = Literal["answer", "tensors"]
"""What is asked for: the answer that the model card makes of the outputs, or the outputs as they are."""

Reuse = Literal["allowed", "refresh", "never"]
"""Which answer will do: an earlier one for the same bytes, too; only a new one, which may be kept; or only a new one,
which may not."""


OnPrepared = Callable[[bytes, str, tuple[int, ...]], None]
"""Takes data, dtype and shape, as `TensorTask` has them. It may be called again, where a worker was lost."""


class ImageTask(NamedTuple):
    """An encoded image, its header checked. An empty `model` or `version` means the one served by default."""

    body: bytes
    header: Header
    want: Want = "answer"
    model: str = ""
    version: str = ""
    on_prepared: OnPrepared | None = None
    """Is called with the image as the model's input takes it, before it has run, by the worker that decodes it."""

    @property
    def payload(self) -> bytes:
        """The bytes that identify the content, and that a worker is sent."""
        return self.body

    @property
    def variant(self) -> tuple[str, ...]:
        """What else, beside the payload and the model, makes an answer the same."""
        return (self.want,)

    @property
    def prepare_s(self) -> float:
        """Seconds of a CPU that decoding is expected to take."""
        return decode_seconds(self.header, len(self.body))


class TensorTask(NamedTuple):
    """One image as the model's input takes it, without the batch dimension: `data` in C order, little-endian.

    `dtype` is a name of the Open Inference Protocol, such as `FP32`; `shape` has no dimension for the batch.
    """

    data: bytes
    dtype: str
    shape: tuple[int, ...]
    want: Want = "tensors"
    model: str = ""
    version: str = ""

    @property
    def payload(self) -> bytes:
        """As `ImageTask.payload`."""
        return self.data

    @property
    def variant(self) -> tuple[str, ...]:
        """As `ImageTask.variant`."""
        return (self.want, self.dtype, *map(str, self.shape))

    @property
    def prepare_s(self) -> float:
        """As `ImageTask.prepare_s`: copying costs next to nothing."""
        return 0.0


Task = ImageTask | TensorTask
