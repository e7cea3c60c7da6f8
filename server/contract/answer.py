"""What comes out: the answer to a task, as data, and as the JSON document that every front end sends.

A worker renders the members that the model gives (`ModelAnswer`); the rest is spliced around them (`render`), so that
they are neither parsed nor encoded a second time.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from server.contract.metadata import ModelMetadata, TensorSpec

Source = Literal["inference", "flight", "cache"]
"""Where a reply comes from: an inference for this task alone or first, another's that was under way, or the cache."""


class Tensor(NamedTuple):
    """One output of one image, without the batch dimension; `data` in C order, little-endian."""

    spec: TensorSpec
    data: bytes


class Reply(NamedTuple):
    """What a worker answered for one task. Times in seconds; `begun` and `run_begun` on CLOCK_MONOTONIC."""

    model: ModelMetadata
    members: bytes
    """JSON: the members of `ModelAnswer`, without the braces. Empty where tensors were wanted."""
    begun: float
    decode_s: float
    infer_s: float
    batch: int
    tensors: tuple[Tensor, ...] = ()
    source: Source = "inference"
    features: tuple[float, ...] = ()
    """Of a sample of the images, what is watched for drift (`server.drift.features`); else empty."""
    run_begun: float = 0.0
    """When the model's run of its batch began; 0 where that is not known."""


class Answer(NamedTuple):
    """A reply, and what identifies it. `parts`: of several models, the answer of each; `reply` is all of them."""

    id: str
    hash: str
    reply: Reply
    parts: "tuple[Answer, ...]" = ()
    arm: str = ""
    """What its client was assigned to: `canary`, or EXPERIMENT/ARM; empty for the version that serves."""
    unit: str = ""
    """A pseudonym of the client, in an experiment."""
    queued: float = 0.0
    """When the task was admitted to the queue, on CLOCK_MONOTONIC; 0 where it did not wait or that is not known."""

    @property
    def model(self) -> ModelMetadata:
        """The model that answered."""
        return self.reply.model


class Prediction(msgspec.Struct, frozen=True):
    """One class with its score."""

    label: str
    score: float


class ModelAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members that the model gives, as its card says."""

    predictions: tuple[Prediction, ...] | UnsetType = UNSET
    """The best classes, best first."""
    score: float | UnsetType = UNSET
    label: str | UnsetType = UNSET
    """The level that the score reaches."""
    tip: str | UnsetType = UNSET
    outputs: dict[str, msgspec.Raw] | UnsetType = UNSET
    """Raw outputs as nested lists, by name."""
    models: "dict[str, NamedAnswer] | UnsetType" = UNSET
    """Where several models were asked: the answer of each, by its name."""


class NamedAnswer(ModelAnswer, frozen=True, kw_only=True):
    """The answer of one of several models."""

    version: str
    batch: int


class ModelRef(msgspec.Struct, frozen=True):
    """The model that answered."""

    name: str
    version: str


class Timing(msgspec.Struct, frozen=True):
    """Where the time went, in milliseconds."""

    upload: float
    """From the request's head to the last byte of the body."""
    queue: float
    """From there to the start of decoding."""
    decode: float
    infer: float
    """The model's run of the whole batch."""
    total: float
    """From the request's head to the answer."""


class Head(msgspec.Struct, frozen=True):
    """The members before those of `ModelAnswer`."""

    id: str
    """UUIDv7 of the image."""
    hash: str
    """XXH3-128 of the upload, hex."""
    model: ModelRef


class Tail(msgspec.Struct, frozen=True, omit_defaults=True):
    """The members after those of `ModelAnswer`."""

    timing: Timing
    batch: int
    """Images that ran together; 0 if none did for this answer, since it was kept from an earlier one."""
    cached: bool = False
    """The answer was kept from an earlier upload of the same bytes."""
    coalesced: bool = False
    """The same bytes were under way already, and one inference answers all."""
    stored: bool | Literal["pending"] | UnsetType = UNSET
    """Whether image and record are kept: safely on the way, on the way, or not. Absent where nothing is kept."""
    duplicate_of: str | UnsetType = UNSET
    """The id of the first image with the same content."""


class ImageAnswer(ModelAnswer, frozen=True, kw_only=True):
    """The whole document: `Head`, `ModelAnswer` and `Tail`. Schemas are made from this."""

    id: str
    hash: str
    model: ModelRef
    timing: Timing
    batch: int
    cached: bool = False
    coalesced: bool = False
    stored: bool | Literal["pending"] | UnsetType = UNSET
    duplicate_of: str | UnsetType = UNSET


class Kept(NamedTuple):
    """What became of an image after its answer: the members of `Tail` about that."""

    stored: bool | Literal["pending"] | UnsetType = UNSET
    duplicate_of: str | UnsetType = UNSET


NOT_KEPT = Kept()


def merged(id_: str, hash_: str, replies: Sequence[Reply]) -> Answer:
    """The answers of several models as one. Its `model` names them all, and its times are those of the slowest."""
    models = [reply.model for reply in replies]
    model = msgspec.structs.replace(
        models[0], name=",".join(model.name for model in models), version=",".join(model.version for model in models)
    )
    parts = tuple(Answer(id_, hash_, reply) for reply in replies)
    members = b'"models":{%b}' % b",".join(map(_named, replies))
    source: Source = "inference" if any(reply.source == "inference" for reply in replies) else replies[0].source
    reply = Reply(
        model, members, min(reply.begun for reply in replies), max(reply.decode_s for reply in replies),
        max(reply.infer_s for reply in replies), max(reply.batch for reply in replies), source=source,
    )  # fmt: skip
    return Answer(id_, hash_, reply, parts)


def _named(reply: Reply) -> bytes:
    head = _encode({"version": reply.model.version, "batch": reply.batch})
    return b"%b:%b,%b}" % (_encode(reply.model.name), head[:-1], reply.members)


_encode = msgspec.json.Encoder().encode


def render(answer: Answer, timing: Timing, kept: Kept = NOT_KEPT) -> bytes:
    """The JSON document of an answer; it decodes as `ImageAnswer`."""
    reply = answer.reply
    head = _encode(Head(answer.id, answer.hash, ModelRef(reply.model.name, reply.model.version)))
    tail = _encode(
        Tail(timing, reply.batch, reply.source == "cache", reply.source == "flight", kept.stored, kept.duplicate_of)
    )
    return b"".join((head[:-1], b",", reply.members, b",", tail[1:]))
