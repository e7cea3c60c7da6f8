"""Starlette's response, made without its encoding and checking of headers, which a refusal cannot afford."""

from starlette.responses import Response

RawHeaders = list[tuple[bytes, bytes]]


class RawResponse(Response):
    """A response whose headers are bytes already, their names in lower case; its length is added."""

    def __init__(self, status: int, headers: RawHeaders, body: bytes) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
