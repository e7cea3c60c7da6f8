"""Starlette's response, made without its encoding and checking of headers, which a refusal cannot afford."""

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


class RawResponse(Response):
    """A response whose headers are bytes already, their names in lower case; its length is added."""

    def __init__(self, status: int, headers: RawHeaders, body: bytes) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
