"""What is kept of an answer, and under which key. Pure.

CORRECTNESS: keys hold XXH3-128, whose collisions can be constructed. An entry therefore holds the SHA-256 of its
content, and whoever finds it compares that: nobody is ever given the answer to another image.
"""

import time
from typing import NamedTuple

from server.contract.answer import Reply, Tensor
from server.contract.metadata import ModelMetadata
from server.engine.submission import Identity

_OVERHEAD_BYTES = 1500  # of an entry, its key and its place, beside the bytes it holds: measured with tracemalloc


class Key(NamedTuple):
    """What makes an answer: the model that gave it, how it was prepared, the content, and who may see it."""

    model: str
    version: str
    digest: str
    recipe: str
    content: str
    variant: tuple[str, ...]
    owner: str


class Entry(NamedTuple):
    """An answer, without what belongs to one request alone."""

    sha256: bytes
    members: bytes
    tensors: tuple[Tensor, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return _OVERHEAD_BYTES + len(self.members) + sum(len(tensor.data) for tensor in self.tensors)

    def reply(self, model: ModelMetadata) -> Reply:
        """The answer, given now."""
        return Reply(model, self.members, time.monotonic(), 0.0, 0.0, 0, self.tensors, "cache")


def key_of(model: ModelMetadata, identity: Identity) -> Key:
    """Where the answer of this model to these bytes is kept."""
    name, version, digest, recipe = model.name, model.version, model.digest, model.recipe
    return Key(name, version, digest, recipe, identity.digest, identity.variant, identity.account)
