"""One request before all others: is there a server, and does it take pictures?"""

from __future__ import annotations

import socket
import ssl

from server.commands.bench.response import BadResponse, Parser, Response
from server.commands.bench.target import Target

_CHUNK = 1 << 16


class NoServer(Exception):
    """Nothing there answers a picture; the message says what happened instead."""


def probe(target: Target, request: bytes, timeout_s: float) -> Response:
    """The answer to `request`. Raises `NoServer`, also for an answer that says that the request is wrong.

    A 503 is an answer: the server may be busy.
    """
    try:
        response = _ask(target, request, timeout_s)
    except (OSError, BadResponse) as error:
        raise NoServer(f"{target.url}: {getattr(error, 'strerror', None) or error}") from None
    if response is None:
        raise NoServer(f"{target.url}: the connection ended without an answer")
    if 300 <= response.status < 500:
        said = response.body[:300].decode("utf-8", "replace").strip()
        raise NoServer(f"{target.url} answered {response.status} to a picture: {said}")
    return response


def _ask(target: Target, request: bytes, timeout_s: float) -> Response | None:
    with socket.create_connection((target.host, target.port), timeout_s) as plain:
        plain.settimeout(timeout_s)
        wrapped = ssl.create_default_context().wrap_socket(plain, server_hostname=target.host) if target.tls else plain
        with wrapped as connection:
            parser = Parser()
            connection.sendall(request)
            while data := connection.recv(_CHUNK):
                if response := parser.feed(data):
                    return response
            return parser.end()
