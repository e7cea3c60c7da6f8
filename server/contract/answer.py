"""What comes of an upload: the answer every front end renders in its own way."""

from dataclasses import dataclass
from typing import NamedTuple


class ModelFailed(Exception):
    """The model raised, or gave an output that cannot be right, for this image."""


class ImageRejected(Exception):
    """The image could not be decoded. `code` is one of preprocess.errors, stable, fit for a client."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Quarantined(Exception):
    """The image brought down its workers lately and is not tried again for a while."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that answers."""

    name: str
    version: str
    digest: str
    """XXH3-128 of the model file, hex."""
    input: str
    """The input tensor, readable."""
    provider: str
    output: str = ""
    """What is made of its output, readable."""
    warnings: tuple[str, ...] = ()
    """What the operator should know about it."""


class Reply(NamedTuple):
    """What a worker answered for one image. Times in seconds; `begun` on CLOCK_MONOTONIC."""

    members: bytes
    """JSON: the members of the response object that the model gives, without the braces."""
    begun: float
    decode_s: float
    infer_s: float
    batch: int


class Answer(NamedTuple):
    """A reply, and what identifies it."""

    id: str
    hash: str
    model: ModelInfo
    reply: Reply
