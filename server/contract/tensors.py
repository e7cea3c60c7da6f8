"""Tensors one after the other in one payload."""

from collections.abc import Sequence

from server.contract.answer import Tensor
from server.contract.framing import WireError
from server.contract.metadata import TensorSpec


def split(specs: Sequence[TensorSpec], payload: bytes) -> tuple[Tensor, ...]:
    """The tensors that `specs` describe, in that order. Raises `WireError` unless they fill the payload."""
    tensors, at = [], 0
    for spec in specs:
        tensors.append(Tensor(spec, payload[at : at + spec.nbytes]))
        at += spec.nbytes
    if at != len(payload):
        raise WireError(f"the tensors' shapes ask for {at} bytes, the payload has {len(payload)}")
    return tuple(tensors)
