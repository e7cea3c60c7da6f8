"""/v1/models for operators: what is served, and changing it."""

import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route

from server.engine.models import Models

_VERSION = "/v1/models/{name}/versions/{version}"


class ModelsAdmin:
    """The resources. Each raises `NoSuchModel`; those that change something also `LoadFailed`, `StateError` and
    `StoreFailed`, and answer with the model as it is then."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/v1/models", self.all, methods=["GET"]),
            Route("/v1/models/{name}", self.one, methods=["GET"]),
            Route("/v1/models/{name}/rollback", self.rollback, methods=["POST"]),
            Route(f"{_VERSION}/load", self.load, methods=["POST"]),
            Route(f"{_VERSION}/unload", self.unload, methods=["POST"]),
            Route(f"{_VERSION}/promote", self.promote, methods=["POST"]),
        ]

    async def all(self, request: StarletteRequest) -> Response:
        """Every model."""
        return _json({"models": await self._models.view()})

    async def one(self, request: StarletteRequest) -> Response:
        """One model."""
        return await self._view(request)

    async def load(self, request: StarletteRequest) -> Response:
        """Hold a version ready. `?force=true`: although it takes or gives something else than the one before."""
        await self._models.load(*_named(request), force=_forced(request))
        return await self._view(request)

    async def unload(self, request: StarletteRequest) -> Response:
        """Let go of a version."""
        await self._models.unload(*_named(request))
        return await self._view(request)

    async def promote(self, request: StarletteRequest) -> Response:
        """Let a version answer. `?force=true`: as for `load`."""
        await self._models.promote(*_named(request), force=_forced(request))
        return await self._view(request)

    async def rollback(self, request: StarletteRequest) -> Response:
        """Let the version answer that did before."""
        await self._models.rollback(request.path_params["name"])
        return await self._view(request)

    async def _view(self, request: StarletteRequest) -> Response:
        return _json(await self._models.view_of(request.path_params["name"]))


def _named(request: StarletteRequest) -> tuple[str, str]:
    return request.path_params["name"], request.path_params["version"]


def _forced(request: StarletteRequest) -> bool:
    return request.query_params.get("force") == "true"


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")
