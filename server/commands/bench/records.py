"""What is kept of each request: one packed row, read as a numpy array. Pure."""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

OK = 200


class Outcome(IntEnum):
    """What came of a request other than an HTTP status, which counts as itself."""

    WRONG = -1  # a 200 whose top label is not the expected one, or that has none
    NO_ANSWER = -2  # not whole when the time-out struck
    UNSENT = -3  # every connection was busy until the time-out struck
    UNREACHABLE = -4  # no connection
    RESET = -5  # the connection was reset
    CLOSED = -6  # the connection ended before the answer, or in the midst of it
    MALFORMED = -7  # not HTTP, or more than one answer


_NAMES = {
    Outcome.WRONG: "wrong answer",
    Outcome.NO_ANSWER: "no answer in time",
    Outcome.UNSENT: "not sent: no connection free",
    Outcome.UNREACHABLE: "not reachable",
    Outcome.RESET: "connection reset",
    Outcome.CLOSED: "connection closed",
    Outcome.MALFORMED: "not HTTP",
}

# due: seconds from the window's start (before it: warm-up). lag: how late the client itself was.
# latency: from due to the whole answer, or to when it was given up. queue, decode, infer: seconds, as the
# server says; NaN where it does not. retry_after: seconds; NaN without one. batch: 0 where
# it is not said. reused: 1 for an answer of a cache, or of another request's inference.
DTYPE = np.dtype(
    [
        ("due", "<f8"),
        ("lag", "<f4"),
        ("latency", "<f4"),
        ("outcome", "<i2"),
        ("picture", "<i2"),
        ("batch", "<i2"),
        ("reused", "<i2"),
        ("queue", "<f4"),
        ("decode", "<f4"),
        ("infer", "<f4"),
        ("retry_after", "<f4"),
    ]
)
ROW = struct.Struct("<dffhhhhffff")
assert ROW.size == DTYPE.itemsize

Rows = NDArray[np.void]


def rows_of(data: bytes) -> Rows:
    """The rows packed in `data`."""
    return np.frombuffer(data, DTYPE)


def outcome_name(outcome: int) -> str:
    """For people: a status as itself, else words."""
    return str(outcome) if outcome > 0 else _NAMES[Outcome(outcome)]
