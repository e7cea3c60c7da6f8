"""Triton's model repository extension: which versions there are, and changing the one that answers.

`load` lets a model's newest version answer, as Triton does by default. A model cannot be unloaded whole: its default
version always answers.
"""

from typing import Final, NamedTuple, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.engine.known import ModelView, VersionView
from server.engine.models import Models
from server.repository.errors import NoSuchModel
from server.web.errors import RequestError
from server.web.rollouts import BODY

T = TypeVar("T")

_STATES: Final = {"available": "UNAVAILABLE", "failed": "UNAVAILABLE", "loading": "LOADING", "draining": "UNLOADING"}
"""The protocol's states; any other version takes requests."""


class Indexed(NamedTuple):
    """One version of one model, as the protocol's index has it."""

    name: str
    version: str
    state: str
    reason: str


class Repository:
    """The three calls. Each raises what `Models` raises."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def index(self, *, ready: bool) -> list[Indexed]:
        """Every version. `ready`: only those that take requests."""
        found = [_indexed(view, version) for view in await self._models.view() for version in view.versions]
        return [one for one in found if one.state == "READY" or not ready]

    async def load(self, name: str) -> None:
        """Let the newest version answer. Cancellation: as `Models.promote`."""
        versions = await anyio.to_thread.run_sync(self._models.folder.versions, name)
        if not versions:
            raise NoSuchModel(f"there is no model {name!r}")
        await self._models.promote(name, versions[-1])

    async def unload(self, name: str) -> None:
        """Raises `StateError`: the default version always answers."""
        await self._models.unload(name, self._models.state(name).default)


class RepositoryResources:
    """The calls by REST, for operators."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/v2/repository/index", self.index, methods=["POST"]),
            Route("/v2/repository/models/{name}/load", self.load, methods=["POST"]),
            Route("/v2/repository/models/{name}/unload", self.unload, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        """POST /v2/repository/index."""
        asked = _body(request, _Index)
        entries = [one._asdict() for one in await self._repository.index(ready=asked.ready)]
        return Response(msgspec.json.encode(entries), media_type="application/json")

    async def load(self, request: Request) -> Response:
        """POST …/load. Raises `RequestError` for parameters: a model comes from the folder as it is."""
        if _body(request, _Change).parameters:
            raise RequestError("bad_inference")
        await self._repository.load(request.path_params["name"])
        return Response(b"{}", media_type="application/json")

    async def unload(self, request: Request) -> Response:
        """POST …/unload."""
        _body(request, _Change)
        await self._repository.unload(request.path_params["name"])
        return Response(b"{}", media_type="application/json")


class _Index(msgspec.Struct):
    ready: bool = False


class _Change(msgspec.Struct):
    parameters: dict[str, object] = {}


def _body(request: Request, of: type[T]) -> T:
    """Raises `RequestError`."""
    try:
        return msgspec.json.decode(request.scope[BODY] or b"{}", type=of)
    except msgspec.MsgspecError:
        raise RequestError("bad_inference") from None


def _indexed(view: ModelView, version: VersionView) -> Indexed:
    reason = f"{version.step}: {version.reason}" if version.reason else ""
    return Indexed(view.name, version.version, _STATES.get(version.status, "READY"), reason)
