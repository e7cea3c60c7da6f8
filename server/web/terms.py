"""What a client asks for in its request's head: by when, how urgently, and whether an earlier answer will do."""

from collections.abc import Mapping
from typing import NamedTuple

from batcher.policy import DEFAULT_URGENCY, LEAST_URGENT, MOST_URGENT
from server.access.principal import Principal
from server.contract.task import Reuse
from server.web.errors import RequestError

_LONGEST_MS = 600_000
_LONGEST_KEY = 256


class Terms(NamedTuple):
    """`timeout_s`: seconds from the request's head; None where the server's SLO holds."""

    timeout_s: float | None
    urgency: int
    reuse: Reuse = "allowed"
    sticky: str = ""
    """What the client calls itself: it meets the same version of a model while two share the traffic."""

    def urgency_for(self, principal: Principal) -> int:
        """The urgency that this client gets: above the default is for those with the scope."""
        return self.urgency if principal.may("urgent") else max(self.urgency, DEFAULT_URGENCY)


def read_terms(headers: Mapping[bytes, bytes]) -> Terms:
    """Raises `RequestError` bad_timeout. A Priority that makes no sense is ignored, as RFC 9218 asks."""
    priority = headers.get(b"priority")
    control = headers.get(b"cache-control")
    return Terms(
        _timeout_s(headers.get(b"x-request-timeout-ms")),
        _urgency(priority) if priority else DEFAULT_URGENCY,
        _reuse(control) if control else "allowed",
        _sticky(headers.get(b"x-client-key")),
    )


def _timeout_s(value: bytes | None) -> float | None:
    if value is None:
        return None
    if not (value.isdigit() and len(value) <= 6 and 1 <= int(value) <= _LONGEST_MS):
        raise RequestError("bad_timeout")
    return int(value) / 1000


def _sticky(key: bytes | None) -> str:
    """What makes no sense as a key is none."""
    return key.decode("latin1") if key and len(key) <= _LONGEST_KEY else ""


def _reuse(cache_control: bytes) -> Reuse:
    """What a request's Cache-Control (RFC 9111) allows; directives of no meaning here are ignored."""
    directives = {directive.partition(b"=")[0].strip(b" \t").lower() for directive in cache_control.split(b",")}
    return "never" if b"no-store" in directives else "refresh" if b"no-cache" in directives else "allowed"


def _urgency(priority: bytes) -> int:
    for parameter in priority.split(b","):
        name, _, value = parameter.strip(b" \t").partition(b"=")
        if name == b"u" and value.isdigit() and len(value) == 1:
            return int(value) if MOST_URGENT <= int(value) <= LEAST_URGENT else DEFAULT_URGENCY
    return DEFAULT_URGENCY
