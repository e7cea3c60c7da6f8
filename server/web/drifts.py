"""/v1/models/{name}/drift for operators: how live images and answers compare with the reference."""

import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route

from server.drift.monitor import Monitor
from server.drift.view import view
from server.web.errors import RequestError
from server.web.rollouts import BODY


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    """Make a reference of the next looks at live images."""

    version: str
    looks: int = 2000


class Drifts:
    """The resources."""

    def __init__(self, drift: Monitor) -> None:
        self._drift = drift

    def routes(self) -> list[Route]:
        """Where they are."""
        return [Route("/v1/models/{name}/drift", self.one, methods=["GET", "POST"])]

    async def one(self, request: StarletteRequest) -> Response:
        """GET: as `show`. POST: as `collect`."""
        return await (self.collect if request.method == "POST" else self.show)(request)

    async def show(self, request: StarletteRequest) -> Response:
        """Every version that has been looked at."""
        return self._view(request)

    async def collect(self, request: StarletteRequest) -> Response:
        """Begin to make a reference of live images. Raises `BadReference`, `RequestError` not_found."""
        try:
            start = msgspec.json.decode(request.scope[BODY], type=_Start)
        except msgspec.MsgspecError:
            raise RequestError("not_found") from None
        self._drift.collect(request.path_params["name"], start.version, start.looks)
        return self._view(request)

    def _view(self, request: StarletteRequest) -> Response:
        documents = view(self._drift, request.path_params["name"])
        return Response(msgspec.json.encode({"versions": documents}), media_type="application/json")
