"""The ASGI application of a front: plain uploads are answered here by the engine's answers, all else is passed on."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from batcher import NoExecutor
from server.web.errors import ClientGone, code_of, problem_response
from server.web.paths import FORM, takes_images
from server.web.relay import EngineAway, Relay
from server.web.request import request_id
from server.web.response import GUARDS

_RETRY_S = 1.0

Count = Callable[[str, str], str]
"""Told the path and the outcome of a request that was not answered elsewhere."""


class FrontApp:
    """`uploads`: what answers plain uploads here; None where they are passed on, too."""

    def __init__(self, uploads: ASGIApp | None, relay: Relay, count: Count, before: Callable[[], None]) -> None:
        """`before` is called before a request is passed on: its answer may tell what has been counted here."""
        self._uploads = uploads
        self._relay = relay
        self._count = count
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._uploads and (scope["type"] != "http" or _is_upload(scope)):
            await self._uploads(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._before()
        try:
            await self._relay(scope, receive, send)
        except ClientGone:
            pass
        except Exception as error:
            if not isinstance(error, EngineAway) and code_of(error) == "internal_error":
                raise  # the response is cut
            await self._fail(scope, send, error)

    async def _fail(self, scope: Scope, send: Send, error: Exception) -> None:
        if isinstance(error, EngineAway):
            error = NoExecutor("the engine has gone", _RETRY_S)
        name = request_id(dict(scope["headers"]).get(b"x-request-id"))
        self._count(scope["path"], code_of(error))
        response = problem_response(error, name)
        headers = [*response.raw_headers, *GUARDS, (b"x-request-id", name.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(response.body)})


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"] != FORM and takes_images(scope["path"])
