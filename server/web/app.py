"""The ASGI application: routes, and around them the exchange, and around that the body guard."""

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from server.web.body import BodyGuard, BodyLimits
from server.web.exchange import Exchange
from server.web.health import Health
from server.web.images import Images
from server.web.metrics import Metrics
from server.web.runtime import Runtime


def build_app(runtime: Runtime, metrics: Metrics, body: BodyLimits, access_log: bool) -> ASGIApp:
    """One application for one runtime."""
    images, health = Images(runtime, metrics, body.max_bytes), Health(runtime, metrics)
    router = Router(
        [
            Route("/v1/images", images.post, methods=["POST"]),
            Route("/healthz", health.alive),
            Route("/readyz", health.ready),
            Route("/metrics", health.metrics),
            Route("/", health.about),
        ],
        redirect_slashes=False,
    )
    return BodyGuard(Exchange(router, runtime, metrics, access_log), body)
