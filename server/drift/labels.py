"""The label of an answer."""

import msgspec

from server.contract.answer import ModelAnswer

_decode = msgspec.json.Decoder(ModelAnswer).decode


def label_in(members: bytes) -> str:
    """The best label in the members that a model gives; empty if there is none."""
    answer = _decode(b"{%b}" % members)
    if answer.predictions is not msgspec.UNSET and answer.predictions:
        return answer.predictions[0].label
    return answer.label if isinstance(answer.label, str) else ""
