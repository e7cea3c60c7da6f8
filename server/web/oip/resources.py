"""The resources below /v2."""

from collections.abc import Mapping
from importlib.metadata import version as version_of
from typing import Final

import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response

from batcher import NoExecutor
from server.contract.metadata import ModelMetadata, TensorSpec
from server.web.metrics import Metrics
from server.web.oip import models, rest
from server.web.oip.infer import Asked, Inferrer, Target
from server.web.oip.inference import MOST_ENTRIES
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime
from server.web.terms import read_terms
from server.web.whole import read_whole

EXTENSIONS: Final = ("binary_tensor_data", "classification", "statistics", "model_configuration", "model_repository")
NAME: Final = "tureen"
VERSION: Final = version_of("tureen")
_RETRY_S = 1.0


class Protocol:
    """Model resources and inference; `Runtime` and engine behind them."""

    def __init__(self, runtime: Runtime, metrics: Metrics, inferrer: Inferrer, max_bytes: int) -> None:
        """`max_bytes`: of the body of an inference request."""
        self._runtime = runtime
        self._metrics = metrics
        self._inferrer = inferrer
        self._max_bytes = max_bytes

    async def infer(self, request: Request) -> RawResponse:
        """POST …/infer. Raises what `server.web.errors` has a row for. Cancellation: takes its images back."""
        runtime, parameters = self._runtime, request.scope["path_params"]
        terms = read_terms(request.headers)
        version = parameters.get("version", "")
        target = Target(models.find(runtime.engine, parameters["model"], version), version)
        request.body.allow(self._max_bytes)
        size = min(request.body.declared_bytes, self._max_bytes)
        with runtime.engine.reserve(size, request.interruptible.interrupt) as reservation:
            body = await read_whole(request.body, reservation)
            request.progress.size = len(body)
            uploaded = runtime.now()
            call = await rest.read(body, request.headers)
            asked = Asked(request.principal, terms, request.received, uploaded, request.progress)
            model, outputs = await self._inferrer.infer(call.inference, target, asked, reservation)
        headers, document = rest.write(model.name, model.version, call, outputs)
        return RawResponse(200, headers, document)

    async def server(self, request: StarletteRequest) -> Response:
        """GET /v2."""
        return _json({"name": NAME, "version": VERSION, "extensions": EXTENSIONS})

    async def live(self, request: StarletteRequest) -> Response:
        """GET /v2/health/live."""
        return _json({"live": True})

    async def ready(self, request: StarletteRequest) -> Response:
        """GET /v2/health/ready. Raises `NoExecutor` while it should be sent no requests."""
        if not self._runtime.ready:
            raise NoExecutor("not ready", _RETRY_S)
        return _json({"ready": True})

    async def all(self, request: StarletteRequest) -> Response:
        """GET /v2/models."""
        return _json({"models": sorted({model.name for model in models.served(self._runtime.engine)})})

    async def model(self, request: StarletteRequest) -> Response:
        """GET /v2/models/{model}."""
        model = self._named(request)
        inputs, outputs = map(_tensor, model.inputs), map(_tensor, model.outputs)
        return _json(
            {
                "name": model.name,
                "versions": models.versions(self._runtime.engine, model.name),
                "platform": models.PLATFORM,
                "inputs": list(inputs),
                "outputs": list(outputs),
            }
        )

    async def model_ready(self, request: StarletteRequest) -> Response:
        """GET …/ready. Raises `NoExecutor` while the model cannot answer."""
        model = self._named(request)
        if not models.is_ready(self._runtime.engine, model):
            raise NoExecutor("not ready", _RETRY_S)
        return _json({"name": model.name, "ready": True})

    async def config(self, request: StarletteRequest) -> Response:
        """GET …/config."""
        return _json(models.config(self._named(request), MOST_ENTRIES))

    async def stats(self, request: StarletteRequest) -> Response:
        """GET …/stats, and /v2/models/stats for all."""
        named = "model" in request.path_params
        found = [self._named(request)] if named else models.served(self._runtime.engine)
        return _json({"model_stats": [self._metrics.statistics.of(model) for model in found]})

    def _named(self, request: StarletteRequest) -> ModelMetadata:
        parameters: Mapping[str, str] = request.path_params
        return models.find(self._runtime.engine, parameters["model"], parameters.get("version", ""))


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.dtype, "shape": spec.shape}


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")
