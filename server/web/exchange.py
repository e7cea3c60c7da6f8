"""Around every request: an id, a problem document for whatever goes wrong, and its outcome counted once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from batcher import Refused
from server.web.client import Origin, TrustedProxies
from server.web.cors import NOBODY, Cors
from server.web.errors import ClientGone, RequestError, code_of, problem_response
from server.web.gate import Gate
from server.web.http.pacing import PARSED_CPU_S
from server.web.observer import Observer
from server.web.oip.errors import error_response, unwrapped
from server.web.page.resources import ASSETS, as_page, wants_page
from server.web.paths import FORM
from server.web.presence import STATE, Presence
from server.web.request import Request, client_host
from server.web.response import GUARDS, Produced, RawHeaders, RawResponse, guards_for
from server.web.runtime import Runtime
from server.web.uploads import Uploads

Handler = Callable[[Request], Awaitable[Response]]
"""What answers a request. It raises what `server.web.errors` has a row for."""

Methods = Callable[[Scope], Sequence[str]]
"""The methods that a path takes. Raises `HTTPException` with 404."""

_CHEAP = frozenset({"unauthenticated", "forbidden", "rate_limited", "too_many_in_flight"})

log = structlog.stdlib.get_logger("tureen.web")


class Exchange:
    """The ASGI application: each request to `handler`, and its response to the client."""

    def __init__(
        self,
        handler: Handler,
        gate: Gate,
        runtime: Runtime,
        observer: Observer[Any],
        uploads: Uploads,
        on_refusal: Callable[[], None],
        proxies: TrustedProxies,
        cors: Cors = NOBODY,
        methods: Methods = lambda scope: (),
    ) -> None:
        """`on_refusal` is called when the gate or the batcher has refused a request. `cors`: the origins that are let
        in. `methods`: what a path takes; it raises as `handler` does for one that is not there."""
        self._handler = handler
        self._gate = gate
        self._runtime = runtime
        self._observer = observer
        self._uploads = uploads
        self._on_refusal = on_refusal
        self._proxies = proxies
        self._cors = cors
        self._methods = methods
        self._loop = asyncio.get_running_loop()  # asking for it costs more than one thinks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse(scope, receive, send)
            return
        request = Request(scope, receive, self._uploads, self._runtime.now(), self._loop)
        request.origin = self._origin(scope)
        request.trace = self._observer.begin(request.headers)
        outcome, response, delay_s = await self._outcome(request)
        if delay_s and not self._runtime.draining:
            presence: Presence = scope["state"][STATE]
            await presence.wait_to_tell(delay_s)
        if response:
            await self._deliver(request, response, send)
        status = response.status_code if response else 0
        self._observer.ended(request, outcome, status, self._runtime.now(), request.origin.address)

    async def _outcome(self, request: Request) -> tuple[str, Response | None, float]:
        """The outcome of a request, its response (None if the client has left), and seconds by which to delay it.

        CORRECTNESS: the delay is spent elsewhere: an error that is being handled holds all that its request holds.
        """
        try:
            if b"content-encoding" in request.headers:
                _check_encoding(request.scope["headers"])
            return "ok", await self._handled(request), 0.0
        except ClientGone:
            request.body.abandon()
            return "client_gone", None, 0.0
        except Exception as raised:  # noqa: BLE001 - it is told, and logged, there
            return self._failed(request, raised)

    def _failed(self, request: Request, raised: Exception) -> tuple[str, Response, float]:
        """As `_outcome`.

        CORRECTNESS: a function of its own: its names for the error would keep the frames of `_outcome`, and so the body
        of the request, until the next collection of garbage.
        """
        error = unwrapped(raised)
        code = code_of(error)
        delay_s = 0.0
        if isinstance(error, Refused) or code in _CHEAP:
            self._on_refusal()
            presence: Presence = request.scope["state"][STATE]
            delay_s = presence.refused(getattr(error, "retry_after_s", 0.0), PARSED_CPU_S, request.origin.address)
        if code in ("internal_error", "model_error"):
            log.error("request_failed", request_id=request.id, code=code, exc_info=error, **request.trace_fields)
        elif code == "deadline_exceeded":
            log.warning("deadline_exceeded", request_id=request.id, **request.trace_fields)
        if request.scope["path"].startswith("/v2"):
            return code, error_response(raised, request.id), delay_s
        response = problem_response(error, request.id, request.trace_id)
        return code, as_page(response) if request.scope["path"] == FORM else response, delay_s

    async def _handled(self, request: Request) -> Response:
        """The handler's response. Raises what it raises, or `ClientGone` as soon as the client has left."""
        presence: Presence = request.scope["state"][STATE]
        with request.interruptible:
            presence.watch(lambda: request.interruptible.interrupt(ClientGone()))
            try:
                if request.scope["method"] == "OPTIONS":
                    return self._options(request)
                if principal := self._gate.open_to(request.origin):
                    request.principal = principal
                    return await self._handler(request)
                return await self._admitted(request)
            finally:
                presence.unwatch()

    async def _admitted(self, request: Request) -> Response:
        """The handler's response to a request that the gate lets in. Raises what either raises."""
        scope = request.scope
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        path = ASSETS if wants_page(scope) else scope["path"]
        admitted = await self._gate.enter(scope["method"], path, given, request.origin, request.received)
        request.principal = admitted.principal
        try:
            response = await self._handler(request)
        finally:
            self._gate.leave(admitted)
        response.raw_headers += admitted.headers
        return response

    def _origin(self, scope: Scope) -> Origin:
        presence: Presence = scope["state"][STATE]
        return self._proxies.origin(presence.peer or client_host(scope), scope["headers"])

    def _options(self, request: Request) -> Response:
        """What a path takes; to a browser that asks for a page of another origin, whether that may."""
        methods = self._methods(request.scope)
        allow = (b"allow", ", ".join(methods).encode())
        response = Response(status_code=204)
        response.raw_headers = [allow, *self._cors.preflight(request.headers.get(b"origin"), methods)]
        return response

    async def _deliver(self, request: Request, response: Response, send: Send) -> None:
        if isinstance(response, Produced):
            try:
                await send(self._start(request, response))
                await self._produce(request, response, send)
            finally:
                response.close()
            return
        await send(self._start(request, response))
        if isinstance(response, StreamingResponse):
            await self._stream(request, response, send)
        else:
            await request.body.answer(send, {"type": "http.response.body", "body": bytes(response.body)})

    async def _stream(self, request: Request, response: StreamingResponse, send: Send) -> None:
        """Send the parts as they come, until the client leaves.

        An error in the midst of them can no longer become a problem document: the connection is cut.
        """
        presence: Presence = request.scope["state"][STATE]
        try:
            with request.interruptible:
                presence.watch(lambda: request.interruptible.interrupt(ClientGone()))
                try:
                    async for part in response.body_iterator:
                        data = part.encode() if isinstance(part, str) else bytes(part)
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                finally:
                    presence.unwatch()
            await request.body.answer(send, {"type": "http.response.body", "body": b""})
        except ClientGone:
            request.body.abandon()

    async def _produce(self, request: Request, response: Produced, send: Send) -> None:
        """Send the parts as they are made, until the client leaves."""
        presence: Presence = request.scope["state"][STATE]

        async def part(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        try:
            with request.interruptible:
                presence.watch(lambda: request.interruptible.interrupt(ClientGone()))
                try:
                    await response.produce(part)
                finally:
                    presence.unwatch()
            await request.body.answer(send, {"type": "http.response.body", "body": b""})
        except ClientGone:
            request.body.abandon()

    def _start(self, request: Request, response: Response) -> Message:
        given = response.raw_headers
        guards = GUARDS if type(response) is RawResponse else guards_for(given)
        headers = [*given, *guards, (b"x-request-id", request.id.encode())]
        if self._cors is not NOBODY:
            headers += self._cors.headers(request.headers.get(b"origin"))
        if request.trace:
            headers.append((b"traceresponse", request.trace.header().encode()))
        if self._runtime.draining:
            headers.append((b"connection", b"close"))
        return {"type": "http.response.start", "status": response.status_code, "headers": headers}


def _check_encoding(headers: RawHeaders) -> None:
    """Raises `RequestError` encoded_body. `identity` says that nothing was done to the body."""
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
        raise RequestError("encoded_body")


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """The lifespan is acknowledged; a websocket is closed before it opens."""
    kind = (await receive())["type"]
    if kind == "websocket.connect":
        await send({"type": "websocket.close", "code": 1000})
    elif kind == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
