"""The ASGI application: uploads go straight to their handler, everything else by starlette's router."""

from typing import NamedTuple

from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message

from server.web.body import BodyLimits
from server.web.early_reject import EarlyReject
from server.web.exchange import Exchange
from server.web.health import Health
from server.web.images import Images
from server.web.metrics import Metrics
from server.web.refusals import Refusals
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime


class Application(NamedTuple):
    """What answers requests, and what refuses those that never reach it."""

    asgi: ASGIApp
    early_reject: EarlyReject
    refusals: Refusals


def build_app(runtime: Runtime, metrics: Metrics, body: BodyLimits, access_log: bool) -> Application:
    """One application for one runtime."""
    resources = Resources(Images(runtime, metrics, body.max_bytes), Health(runtime, metrics))
    refusals = Refusals(metrics, access_log)
    early_reject = EarlyReject(runtime, refusals, body.max_bytes)
    exchange = Exchange(resources, runtime, metrics, body, early_reject.arm, access_log)
    return Application(exchange, early_reject, refusals)


class Resources:
    """Finds the handler of a request and gives its response."""

    def __init__(self, images: Images, health: Health) -> None:
        self._images = images
        self._router = Router(
            [
                Route("/v1/images", _by_post_only, methods=["POST"]),
                Route("/healthz", health.alive),
                Route("/readyz", health.ready),
                Route("/metrics", health.metrics),
                Route("/", health.about),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, request: Request) -> Response:
        scope = request.scope
        if scope["path"] == "/v1/images" and scope["method"] == "POST":  # the one whose every microsecond counts
            return await self._images.post(request)
        return await self._by_router(request)

    async def _by_router(self, request: Request) -> Response:
        """Raises starlette's `HTTPException` where nothing is found, and what the handler raises."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}  # bodies are none of their business

        async def send(message: Message) -> None:
            sent.append(message)

        request.scope["app"] = self  # tells the router to raise what goes wrong, not to answer it
        await self._router(request.scope, receive, send)
        start, *rest = sent
        return RawResponse(start["status"], _but_length(start["headers"]), b"".join(part["body"] for part in rest))


def _but_length(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name != b"content-length"]


async def _by_post_only(request: StarletteRequest) -> Response:
    raise NotImplementedError  # here for its path and method alone: uploads do not come this way
