"""What a client asks for in its request's head: by when, and how urgently."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from batcher.policy import DEFAULT_URGENCY, LEAST_URGENT, MOST_URGENT
from server.web.errors import RequestError

_LONGEST_MS = 600_000


@dataclass(frozen=True, slots=True)
class Terms:
    """`timeout_s`: seconds from the request's head; None where the server's SLO holds."""

    timeout_s: float | None
    urgency: int


def read_terms(headers: Headers) -> Terms:
    """Raises `RequestError` bad_timeout. A Priority that makes no sense is ignored, as RFC 9218 asks."""
    return Terms(_timeout_s(headers.get("x-request-timeout-ms")), _urgency(headers.get("priority", "")))


def _timeout_s(value: str | None) -> float | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 6 and 1 <= int(value) <= _LONGEST_MS):
        raise RequestError("bad_timeout")
    return int(value) / 1000


def _urgency(priority: str) -> int:
    for parameter in priority.split(","):
        name, _, value = parameter.strip(" \t").partition("=")
        if name == "u" and value.isascii() and value.isdecimal() and len(value) == 1:
            return int(value) if MOST_URGENT <= int(value) <= LEAST_URGENT else DEFAULT_URGENCY
    return DEFAULT_URGENCY
