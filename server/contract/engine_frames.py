"""The frames between a front end in a process of its own and an engine (`server.contract.framing`).

Times are absolute seconds of CLOCK_MONOTONIC: both ends are on one host. A task is named by a number that its front
end chooses; each is answered with exactly one `Answered` or `Raised`, unless it is cancelled.
"""

from preprocess.header import Header
from server.contract.answer import Source
from server.contract.framing import Codec, Message
from server.contract.metadata import ModelMetadata, TensorSpec
from server.contract.owner import NOBODY, Owner
from server.contract.task import Reuse, Want


class SubmitImage(Message, frozen=True):
    """To an engine: an encoded image (the payload), with what its header says. `deadline`: None is the SLO."""

    number: int
    deadline: float | None
    urgency: int
    want: Want
    model: str
    version: str
    header: Header
    reuse: Reuse = "allowed"
    owner: Owner = NOBODY
    sticky: str = ""


class SubmitTensor(Message, frozen=True):
    """To an engine: one image (the payload) as the model's input takes it."""

    number: int
    deadline: float | None
    urgency: int
    want: Want
    model: str
    version: str
    dtype: str
    shape: tuple[int, ...]
    reuse: Reuse = "allowed"
    owner: Owner = NOBODY
    sticky: str = ""


class Cancel(Message, frozen=True):
    """To an engine: nobody waits for this task any more."""

    number: int


class Forget(Message, frozen=True):
    """To an engine: keep no answer any more to this content, hex of its XXH3-128, for this account."""

    content: str
    account: str = ""


class Note(Message, frozen=True):
    """To whoever serves the engine: something (the payload) that the engine does not read."""


class Drain(Message, frozen=True):
    """To an engine: answer what this front end has sent, then say `Drained`."""


class Hello(Message, frozen=True):
    """From an engine, first and once. `max_bytes`: payload bytes that one front end may have under way."""

    slo_s: float
    max_pixels: int
    max_bytes: int


class Snapshot(Message, frozen=True):
    """From an engine, several times per second: its status. The payload is an `engine.Status` as msgpack."""


class Serving(Message, frozen=True):
    """From an engine: this model answers; what it answers names it by name and version."""

    model: ModelMetadata


class Answered(Message, frozen=True):
    """From an engine: as `wire.Done`, with what identifies the answer."""

    number: int
    id: str
    hash: str
    begun: float
    decode_s: float
    infer_s: float
    batch: int
    model: str
    version: str
    tensors: tuple[TensorSpec, ...] = ()
    source: Source = "inference"
    queued: float = 0.0
    run_begun: float = 0.0


class Raised(Message, frozen=True):
    """From an engine: `kind` is the name of an exception that both ends know, `words` what it is made of."""

    number: int
    kind: str
    words: tuple[str | float, ...]


class Drained(Message, frozen=True):
    """From an engine: everything that this front end sent has ended."""


ToEngine = SubmitImage | SubmitTensor | Cancel | Forget | Note | Drain
FromEngine = Hello | Snapshot | Serving | Answered | Raised | Drained

to_engine: Codec[ToEngine] = Codec(ToEngine)
from_engine: Codec[FromEngine] = Codec(FromEngine)
