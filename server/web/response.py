"""Starlette's response, made without its encoding and checking of headers, which a refusal cannot afford."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

RawHeaders = list[tuple[bytes, bytes]]

CSP = b"content-security-policy"
GUARDS: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (CSP, b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
"""On every response: a browser runs nothing of it, and shows it in no frame."""


def guards_for(headers: RawHeaders) -> RawHeaders:
    """`GUARDS`, without the policy where a page among `headers` brings one of its own."""
    return GUARDS if not any(name == CSP for name, _ in headers) else [GUARDS[0], GUARDS[2]]


Part = Callable[[bytes], Awaitable[None]]
"""Sends a part of a body."""


class Produced(Response):
    """A response whose body is made while it is sent: `produce` is given what sends a part.

    Whoever sends it calls `close` in the end, whatever became of it: it may hold what must be given back.
    """

    def __init__(
        self, headers: RawHeaders, produce: Callable[[Part], Awaitable[None]], close: Callable[[], None]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.raw_headers = headers
        self.produce = produce
        self.close = close


class RawResponse(Response):
    """A response whose headers are bytes already, their names in lower case; its length is added."""

    def __init__(self, status: int, headers: RawHeaders, body: bytes) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
