"""The whole body of a small request, such as a JSON document."""

from server.web.errors import RequestError
from server.web.request import Request

MOST_BYTES = 64 * 1024


async def read_small(request: Request) -> bytes:
    """Raises `RequestError` body_too_large, upload_timeout; `ClientGone`."""
    if request.body.declared_bytes > MOST_BYTES:
        raise RequestError("body_too_large")
    pieces, size = [], 0
    while (piece := await request.body.read()) is not None:
        size += len(piece)
        if size > MOST_BYTES:
            raise RequestError("body_too_large")
        pieces.append(piece)
    return b"".join(pieces)
