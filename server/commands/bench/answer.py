"""What an answer says of itself: the top label, the batch, where the time went, when to come back. Pure."""

from __future__ import annotations

import re
from math import nan

import msgspec

_TIMING = re.compile(rb"\r\nserver-timing:([^\r]*)\r\n", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_RETRY_MS = re.compile(rb'"retry_after_ms": ?(\d{1,12})')
_PART = {name: re.compile(rb"[ ,]%b;(?:[^,]*;)?dur=([0-9.]{1,16})" % name) for name in (b"queue", b"decode", b"infer")}
_REUSED = re.compile(rb'"(?:cached|coalesced)": ?true')
_BATCH = re.compile(rb'"batch": ?(\d{1,4})[,}]')


class _Prediction(msgspec.Struct):
    label: str


class _Body(msgspec.Struct):
    predictions: list[_Prediction]


_decode = msgspec.json.Decoder(_Body).decode


def timings(head: bytes) -> tuple[float, float, float]:
    """Queue, decode and infer, in seconds, of a `Server-Timing` header; NaN where it does not say."""
    found = _TIMING.search(head)
    if not found:
        return nan, nan, nan
    line = found[1]
    return _part(line, b"queue"), _part(line, b"decode"), _part(line, b"infer")


def batch(body: bytes) -> int:
    """The member `batch`; 0 if there is none."""
    found = _BATCH.search(body)
    return int(found[1]) if found else 0


def reused(body: bytes) -> bool:
    """Whether no inference was made for this answer alone: the member `cached` or `coalesced` is true."""
    return _REUSED.search(body) is not None


def retry_after(head: bytes, body: bytes) -> float:
    """Seconds, by the problem document or, coarser, by the header; NaN if neither says."""
    if found := _RETRY_MS.search(body):
        return int(found[1]) / 1000
    return float(found[1]) if (found := _RETRY.search(head)) else nan


def top_label(body: bytes) -> str | None:
    """The label of the first prediction; None if the body is no such answer."""
    try:
        predictions = _decode(body).predictions
    except msgspec.MsgspecError:
        return None
    return predictions[0].label if predictions else None


def _part(line: bytes, name: bytes) -> float:
    found = _PART[name].search(line)
    try:
        return float(found[1]) / 1000 if found else nan
    except ValueError:
        return nan
