"""Around every request: an id, a problem document for whatever goes wrong, and its outcome counted once."""

import re

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.dispatch.ids import uuid7
from server.web.errors import ClientGone, code_of, problem_response
from server.web.head import check_head
from server.web.metrics import Metrics
from server.web.runtime import Runtime

_SANE_ID = re.compile(r"[A-Za-z0-9._~:+/=@-]{1,128}")

log = structlog.stdlib.get_logger("tureen.web")


class Exchange:
    """Pure ASGI middleware. Puts `request_id` (str) and `received` (seconds) into the scope's state."""

    def __init__(self, app: ASGIApp, runtime: Runtime, metrics: Metrics, access_log: bool) -> None:
        self._app = app
        self._access_log = access_log
        self._runtime = runtime
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope["state"] = {"request_id": request_id, "received": self._runtime.now()}
        scope["app"] = self  # tells the router to raise what goes wrong, not to answer it

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if self._runtime.draining:
                    headers["Connection"] = "close"
            await send(message)

        outcome = await self._outcome(scope, receive, send_with_id)
        resource = self._metrics.count(scope["path"], outcome)
        if self._access_log:
            seconds = self._runtime.now() - scope["state"]["received"]
            log.info("request", request_id=request_id, resource=resource, outcome=outcome, ms=round(seconds * 1e3, 3))

    async def _outcome(self, scope: Scope, receive: Receive, send: Send) -> str:
        request_id = scope["state"]["request_id"]
        try:
            check_head(scope)
            await self._app(scope, receive, send)
        except ClientGone:
            return "client_gone"
        except Exception as error:
            code = code_of(error)
            if code in ("internal_error", "model_error"):
                log.error("request_failed", request_id=request_id, code=code, exc_info=error)
            elif code == "deadline_exceeded":
                log.warning("deadline_exceeded", request_id=request_id)
            await problem_response(error, request_id)(scope, receive, send)
            return code
        return "ok"


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else uuid7()


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """The lifespan is acknowledged; a websocket is closed before it opens."""
    kind = (await receive())["type"]
    if kind == "websocket.connect":
        await send({"type": "websocket.close", "code": 1000})
    elif kind == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
