"""W3C Trace Context: where a request stands in its trace. Pure, but for the random numbers of new ids."""

import random
import re
from typing import NamedTuple

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")
_RANDOM_BITS = 56  # the last bits of a trace id are random, by level 2 of the specification
_SAMPLED = 1


class TraceContext(NamedTuple):
    """The trace of one request and the span that this server adds to it. Ids are lower-case hex."""

    trace_id: str
    span_id: str
    """Of this server's own span."""
    parent_id: str = ""
    """The caller's span; "" where the trace begins here."""
    sampled: bool = False
    state: str = ""
    """The tracestate header, passed on as it came."""

    def header(self) -> str:
        """The traceparent header for whatever this server calls, and for its response."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def continued(traceparent: bytes, tracestate: bytes = b"") -> TraceContext | None:
    """The context of a request that names its caller's span; None if the header is not valid: it is then ignored."""
    found = _PARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest) or not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    state = tracestate.decode() if _STATE.fullmatch(tracestate) else ""
    return TraceContext(trace_id.decode(), new_span_id(), parent_id.decode(), bool(int(flags, 16) & _SAMPLED), state)


def begun() -> TraceContext:
    """The context of a request that begins a trace; not sampled."""
    return TraceContext(f"{random.getrandbits(128) | 1:032x}", new_span_id())


def new_span_id() -> str:
    """A random id of a span, never zero."""
    return f"{random.getrandbits(64) | 1:016x}"


def is_within(trace_id: str, share: float) -> bool:
    """Whether a trace is one of the `share` (0 to 1) that is sampled: the same answer in every process."""
    return int(trace_id[-_RANDOM_BITS // 4 :], 16) < share * (1 << _RANDOM_BITS)
