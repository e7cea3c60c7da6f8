"""Requests that their head alone rules out: too much of it, or a form that two servers may read differently.

h11 refuses most malformed requests itself. What is refused here it lets through, and whoever sits in front of us may
see the end of such a request elsewhere than we do, so that what follows is smuggled past it: the connection is closed.
"""

from starlette.types import Scope

from server.web.errors import RequestError

_MAX_HEADERS = 100
_MAX_HEADER_BYTES = 16 * 1024
_CLOSE = {"Connection": "close"}


def check_head(scope: Scope) -> None:
    """Raises `RequestError`: headers_too_large, ambiguous_request, encoded_body."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > _MAX_HEADERS or sum(map(_length, headers)) > _MAX_HEADER_BYTES:
        raise RequestError("headers_too_large", _CLOSE)
    names = {name for name, _ in headers}
    if scope["http_version"] not in ("1.0", "1.1"):
        raise RequestError("ambiguous_request", _CLOSE)
    if b"transfer-encoding" in names and (b"content-length" in names or scope["http_version"] == "1.0"):
        raise RequestError("ambiguous_request", _CLOSE)
    if b"content-encoding" in names:
        raise RequestError("encoded_body")


def _length(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1])
