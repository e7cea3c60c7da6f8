"""Requests that their head alone rules out: too much of it, or a form that two servers may read differently.

h11 refuses most malformed requests itself. What is refused here it lets through, and whoever sits in front of us may
see the end of such a request elsewhere than we do, so that what follows is smuggled past it: the connection is closed.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from starlette.types import Scope

from server.web.errors import RequestError

_MAX_HEADERS = 100
_MAX_HEADER_BYTES = 16 * 1024
_CLOSE = {"Connection": "close"}


def check_head(scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    """Raises `RequestError`: headers_too_large, ambiguous_request, encoded_body. `headers`: those of the scope."""
    every: list[tuple[bytes, bytes]] = scope["headers"]
    target = len(scope["raw_path"]) + len(scope["query_string"])
    if len(every) > _MAX_HEADERS or target + sum(map(len, chain.from_iterable(every))) > _MAX_HEADER_BYTES:
        raise RequestError("headers_too_large", _CLOSE)
    if _is_ambiguous(scope["http_version"], every, headers):
        raise RequestError("ambiguous_request", _CLOSE)
    if b"content-encoding" in headers:
        raise RequestError("encoded_body")


def _is_ambiguous(version: str, every: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> bool:
    names = [name for name, _ in every]
    if version not in ("1.0", "1.1") or (names.count(b"host") != 1 and version == "1.1"):
        return True
    if b"transfer-encoding" not in headers:
        return names.count(b"content-length") > 1
    return (
        version == "1.0"
        or b"content-length" in headers
        or names.count(b"transfer-encoding") > 1
        or headers[b"transfer-encoding"].lower() != b"chunked"
    )
