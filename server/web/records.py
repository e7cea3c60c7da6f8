"""GET and DELETE /v1/images/{id}: what is kept of an image, and having it forgotten."""

from datetime import UTC, datetime

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response

from server.cleanup.item import first_id, is_id, when
from server.cleanup.reading import Delete, Found, Get, Missing, ask
from server.web.errors import RequestError
from server.web.keeping import Keeping
from server.web.runtime import Runtime

_MOST = 100
_MOST_SHOWN = 12
_ON_ITS_WAY_S = 60.0  # an id as young as that may be one whose record is still to come
_RETRY_AFTER = {"Retry-After": "1"}
_PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class Records:
    """The resources below /v1/images. Each raises `RequestError` not_found, and `Unavailable`."""

    def __init__(self, runtime: Runtime, keeping: Keeping) -> None:
        self._runtime = runtime
        self._keeping = keeping

    async def one(self, request: StarletteRequest) -> Response:
        """GET: the record, 200; 202 while it is on its way. DELETE: as `delete`."""
        if request.method == "DELETE":
            return await self.delete(request)
        return await self._get(request, original=False)

    async def original(self, request: StarletteRequest) -> Response:
        """The image as it was sent."""
        return await self._get(request, original=True)

    async def delete(self, request: StarletteRequest) -> Response:
        """Forget record, original and answers that are kept: 204, whether or not there was anything."""
        keeping, id_ = self._named(request)
        await keeping.spool.flush()
        reply, _ = await ask(keeping.spool.folder, Delete(id_))
        if isinstance(reply, Found):
            keeping.forget(reply.hash)
            await self._runtime.engine.forget(reply.hash)
        return Response(status_code=204)

    async def same(self, request: StarletteRequest) -> Response:
        """The stored images of one content, `?hash=`, the first one first; without it, as `search`."""
        if "hash" not in request.query_params:
            return self.search(request.query_params)
        hash_ = request.query_params.get("hash", "")
        if len(hash_) != 32 or not set(hash_) <= set("0123456789abcdef"):
            raise RequestError("not_found")
        return JSONResponse({"hash": hash_, "ids": self._keeping.same(hash_, _MOST)}, headers=_PRIVATE)

    def search(self, asked: QueryParams) -> Response:
        """The newest stored images, by `label`, `since` and `until` (ISO 8601); `before` an id is the next page."""
        since, until = _first_id(asked.get("since")) or "0", _first_id(asked.get("until")) or "g"
        before = asked.get("before", "")
        until = min(until, before) if is_id(before) else until
        found = self._keeping.search(asked.get("label", ""), since, until, _MOST_SHOWN)
        images = [{"id": id_, "time": time, "label": label} for id_, time, label in found]
        return JSONResponse({"images": images, "most": _MOST_SHOWN}, headers=_PRIVATE)

    async def _get(self, request: StarletteRequest, *, original: bool) -> Response:
        keeping, id_ = self._named(request)
        reply, payload = await ask(keeping.spool.folder, Get(id_, original))
        if isinstance(reply, Found):
            return Response(payload, media_type=reply.media_type, headers=_PRIVATE)
        age_s = self._runtime.wall_s() - when(id_).timestamp()
        if (isinstance(reply, Missing) and reply.spooled) or keeping.spool.holds(id_) or 0 <= age_s < _ON_ITS_WAY_S:
            body = msgspec.json.encode({"id": id_, "stored": "pending"})
            return Response(body, 202, _RETRY_AFTER | _PRIVATE, "application/json")
        raise RequestError("not_found")

    def _named(self, request: StarletteRequest) -> tuple[Keeping, str]:
        id_ = request.path_params["id"]
        if not is_id(id_):
            raise RequestError("not_found")
        return self._keeping, id_


def _first_id(moment: str | None) -> str | None:
    """Raises `RequestError` not_found for what is no moment."""
    if not moment:
        return None
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise RequestError("not_found") from None
    return first_id(found if found.tzinfo else found.replace(tzinfo=UTC))
