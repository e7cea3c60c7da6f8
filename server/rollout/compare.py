"""Do two versions answer the same? From the JSON members that each gives for one image. Pure."""

import msgspec

from server.contract.answer import ModelAnswer

_decode = msgspec.json.Decoder(ModelAnswer).decode


class Compared(msgspec.Struct, frozen=True):
    """`score_difference`: absolute; None where one has no score."""

    same: bool
    score_difference: float | None


def compare(old: bytes, new: bytes, tolerance: float) -> Compared:
    """`tolerance`: of scores, as a part of the old one, or absolute where that is below 1.

    Answers are the same if their best labels are, and their scores within the tolerance; raw outputs if their JSON is.
    """
    one, other = (_decode(b"{%b}" % members) for members in (old, new))
    if one.outputs is not msgspec.UNSET or other.outputs is not msgspec.UNSET:
        return Compared(old == new, None)
    apart = None
    if isinstance(one.score, float) and isinstance(other.score, float):
        apart = abs(one.score - other.score)
    near = apart is None or apart <= tolerance * max(1.0, abs(one.score)) if isinstance(one.score, float) else True
    return Compared(_label(one) == _label(other) and near, apart)


def _label(answer: ModelAnswer) -> str:
    if answer.predictions is not msgspec.UNSET and answer.predictions:
        return answer.predictions[0].label
    return answer.label if isinstance(answer.label, str) else ""
