"""GET /healthz, /readyz, /metrics and /: for load balancers, Prometheus and people."""

from importlib.metadata import version

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from batcher import NoExecutor
from server.contract.metadata import ModelMetadata
from server.web.metrics import Metrics
from server.web.runtime import Runtime

_RETRY_S = 1.0
_ADMIN = {
    "GET /metrics": "Prometheus metrics",
    "GET /watch": "the last minutes",
    "GET /watch/events": "the same, live, as server-sent events",
}
_VERSION = version("tureen")  # looking it up reads files


class Health:
    """What this process says about itself."""

    def __init__(self, runtime: Runtime, metrics: Metrics, admin: bool) -> None:
        """`admin`: whether admin resources are here, too."""
        self._admin = admin
        self._runtime = runtime
        self._metrics = metrics

    async def alive(self, request: Request) -> Response:
        """200 as long as the event loop turns."""
        return _json({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """200 while a worker is ready and the process is not draining. Raises `NoExecutor`."""
        if not self._runtime.ready:
            raise NoExecutor("draining" if self._runtime.draining else "no worker is ready", _RETRY_S)
        return _json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """OpenMetrics for who accepts it, else Prometheus' text format."""
        body, media_type = self._metrics.render(request.headers.get("accept", ""))
        return Response(body, media_type=media_type)

    async def about(self, request: Request) -> Response:
        """What this is and where things are; browsers get the page in its place."""
        model = self._runtime.status().model
        return _json(
            {
                "name": "tureen",
                "version": _VERSION,
                "what": "A dynamic-batching image inference server: POST an image, get its answer.",
                "model": _model(model) if model else None,
                "slo_ms": round(self._runtime.engine.slo_s * 1000),
                "try": "curl --data-binary @photo.jpg http://HOST:PORT/v1/images",
                "paths": {
                    "POST /v1/images": "an image as the raw body; its answer as JSON",
                    "GET /healthz": "200 while the process lives",
                    "GET /readyz": "200 while it should be sent requests",
                    **(_ADMIN if self._admin else {}),
                },
            }
        )


def _model(model: ModelMetadata) -> dict[str, str]:
    return {"name": model.name, "version": model.version, "hash": model.digest}


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")
