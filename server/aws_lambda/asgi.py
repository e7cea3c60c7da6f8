"""One request through an ASGI application, whole: Lambda has its body before, and wants the response at once."""

import asyncio

from starlette.types import ASGIApp, Message, Scope

from server.aws_lambda.http_event import Headers, HttpRequest, HttpResponse, plain_path
from server.web.presence import STATE, Presence

TIMEOUT = b"x-request-timeout-ms"


async def respond(app: ASGIApp, request: HttpRequest) -> HttpResponse:
    """The application's response. Raises what it raises; cancellation ends the request."""
    asked, answered = asyncio.Event(), asyncio.Event()
    status, headers, parts = 500, list[tuple[bytes, bytes]](), list[bytes]()

    async def receive() -> Message:
        if not asked.is_set():
            asked.set()
            return {"type": "http.request", "body": request.body, "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                answered.set()

    await app(_scope(request), receive, send)
    return HttpResponse(status, [(name.lower(), value) for name, value in headers], b"".join(parts))


def within(headers: Headers, left_s: float, slo_s: float) -> Headers:
    """The headers, with a deadline of `left_s` where the client's own, or `slo_s` in its place, is later.

    A deadline that is none is left to the application to refuse.
    """
    given = next((value for name, value in headers if name == TIMEOUT), None)
    if given is not None and not given.isdigit():
        return headers
    wanted_s = slo_s if given is None else int(given) / 1000
    if wanted_s <= left_s:
        return headers
    others = [pair for pair in headers if pair[0] != TIMEOUT]
    return [*others, (TIMEOUT, str(max(1, int(left_s * 1000))).encode())]


def _scope(request: HttpRequest) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": plain_path(request.path),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": request.headers,
        "client": (request.client, 0) if request.client else None,
        "server": None,
        "state": {STATE: Presence()},
    }
