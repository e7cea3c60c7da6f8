"""Fetching a JSON document of the token issuer: HTTPS, or loopback; no redirects; limits on size and time. Blocking.

URLs come from the operator, or from the document of the issuer that the operator named; never from a token.
"""

import http.client
import ipaddress
import json
import ssl
import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

from server.access.errors import FetchFailed

FETCH_S: Final = 5.0
_MAX_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024


def fetch_json(url: str) -> dict[str, object]:
    """The JSON object at `url`. Blocks for `FETCH_S` at most per step. Raises `FetchFailed`."""
    parts = check_url(url)
    deadline = time.monotonic() + FETCH_S
    connection = _connection(parts)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json", "User-Agent": "tureen"})
        response = connection.getresponse()
        if response.status != 200:  # a redirect, too: who can redirect could point to any host
            raise FetchFailed(f"{url} answered {response.status}")
        document = json.loads(_read(response, url, deadline))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchFailed(f"{url}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if not isinstance(document, dict):
        raise FetchFailed(f"{url} is not a JSON object")
    return document


def check_url(url: str) -> SplitResult:
    """The parts of a URL that may be fetched. Raises `FetchFailed` for any but HTTPS, and HTTP on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise FetchFailed(f"{url!r} is no URL") from None
    if not host or parts.username or parts.password:
        raise FetchFailed(f"{url!r} must name a host, and no user")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return parts
    raise FetchFailed(f"{url!r} must be an https URL (http is accepted for loopback only)")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    assert parts.hostname
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=FETCH_S, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=FETCH_S)


def _read(response: http.client.HTTPResponse, url: str, deadline: float) -> bytes:
    """The whole body. Raises `FetchFailed` where it is too long, or comes too slowly."""
    data = b""
    while piece := response.read1(_READ_BYTES):
        data += piece
        if len(data) > _MAX_BYTES:
            raise FetchFailed(f"{url} is longer than {_MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise FetchFailed(f"{url} took longer than {FETCH_S:g} s")
    return data
