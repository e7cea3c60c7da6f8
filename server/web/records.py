"""GET and DELETE /v1/images/{id}: what is kept of an image, and having it forgotten.

An image is for its owner, and for `admin` where this listening socket has resources for admins. To everybody else it is
not there: 404, not 403.
"""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response

from server.access.principal import ADDRESS, Principal
from server.cleanup.item import first_id, is_id, when
from server.cleanup.reading import Delete, Found, Get, Missing, Unavailable, ask
from server.web.audit import audit_image
from server.web.deferred import Deferred
from server.web.errors import RequestError
from server.web.keeping import Keeping
from server.web.runtime import Runtime, owner_of
from server.web.sent import Sent

_MOST = 100
_MOST_SHOWN = 12
_ON_ITS_WAY_S = 60.0  # an id as young as that may be one whose record is still to come
_UNFORGOTTEN = 10_000  # images; beyond that a kept answer ends by its own time
_RETRY_AFTER = {"Retry-After": "1"}
_PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class Reader(NamedTuple):
    """Who asks, and whose images it may see. `owner`: an account; None is everybody's."""

    who: str
    owner: str | None


class Content(NamedTuple):
    """Of an image: hex of its XXH3-128, and its owner's account."""

    hash: str
    owner: str


class Records:
    """The resources below /v1/images. Each raises `RequestError` not_found, and `Unavailable`.

    The whole state: the images that are deleted, and whose kept answers are not yet forgotten.
    """

    def __init__(self, runtime: Runtime, keeping: Keeping, *, others: bool) -> None:
        """`others`: an admin may see everybody's."""
        self._runtime = runtime
        self._keeping = keeping
        self._others = others
        self.deferred: Deferred | None = None
        """What is answered later: asked first."""
        self.sent: Sent | None = None
        """Told what is deleted."""
        self._unforgotten: OrderedDict[str, Content] = OrderedDict()

    async def one(self, request: StarletteRequest) -> Response:
        """GET: the record, 200; 202 while it is on its way. DELETE: as `delete`."""
        if request.method == "DELETE":
            return await self.delete(request)
        return await self._get(request, original=False)

    async def original(self, request: StarletteRequest) -> Response:
        """The image as it is kept."""
        return await self._get(request, original=True)

    async def delete(self, request: StarletteRequest) -> Response:
        """Forget record, original and answers that are kept: 204, whether or not there was anything.

        Raises `StoreFailed` where the shared cache does not forget now; sent again, the request goes on there.
        """
        keeping, id_, reader = self._named(request)
        if self.sent:
            self.sent.forget(id_)
        await keeping.spool.flush()
        reply, _ = await ask(keeping.spool.folder, Delete(id_, reader.owner))
        if isinstance(reply, Found):
            keeping.forget(reply.hash, reply.owner)
            self._note(id_, Content(reply.hash, reply.owner))
            _audit("images.delete", reader, id_, reply.owner)
        if (content := self._unforgotten.get(id_)) and reader.owner in (None, content.owner):
            await self._runtime.engine.forget(*content)
            self._unforgotten.pop(id_, None)
        return Response(status_code=204)

    async def same(self, request: StarletteRequest) -> Response:
        """The stored images of one content, `?hash=`, the first one first; without it, as `search`."""
        reader = reader_of(request.user, others=self._others)
        if "hash" not in request.query_params:
            return self.search(reader, request.query_params)
        hash_ = request.query_params.get("hash", "")
        if len(hash_) != 32 or not set(hash_) <= set("0123456789abcdef"):
            raise RequestError("not_found")
        return JSONResponse({"hash": hash_, "ids": self._keeping.same(hash_, reader.owner, _MOST)}, headers=_PRIVATE)

    def _note(self, id_: str, content: Content) -> None:
        """The image has gone, and answers to it may be kept still."""
        self._unforgotten[id_] = content
        if len(self._unforgotten) > _UNFORGOTTEN:
            self._unforgotten.popitem(last=False)

    def search(self, reader: Reader, asked: QueryParams) -> Response:
        """The newest stored images, by `label`, `since` and `until` (ISO 8601); `before` an id is the next page."""
        since, until = _first_id(asked.get("since")) or "0", _first_id(asked.get("until")) or "g"
        before = asked.get("before", "")
        until = min(until, before) if is_id(before) else until
        found = self._keeping.search(reader.owner, asked.get("label", ""), since, until, _MOST_SHOWN)
        images = [{"id": id_, "time": time, "label": label} for id_, time, label in found]
        return JSONResponse({"images": images, "most": _MOST_SHOWN}, headers=_PRIVATE)

    async def _get(self, request: StarletteRequest, *, original: bool) -> Response:
        keeping, id_, reader = self._named(request)
        if self.deferred:
            self.deferred.check(id_)
            if self.deferred.is_under_way(id_):
                return _pending(id_)
        try:
            reply, payload = await ask(keeping.spool.folder, Get(id_, reader.owner, original))
        except Unavailable:
            if not keeping.spool.holds(id_):
                raise
            reply, payload = Missing(spooled=True), b""
        if isinstance(reply, Found):
            _audit("images.read", reader, id_, reply.owner)
            return Response(payload, media_type=reply.media_type, headers=_PRIVATE)
        if isinstance(reply, Missing):
            age_s = self._runtime.wall_s() - when(id_).timestamp()
            if reply.spooled or keeping.spool.holds(id_) or 0 <= age_s < _ON_ITS_WAY_S:
                return _pending(id_)
        raise RequestError("not_found")

    def _named(self, request: StarletteRequest) -> tuple[Keeping, str, Reader]:
        id_ = request.path_params["id"]
        if not is_id(id_):
            raise RequestError("not_found")
        return self._keeping, id_, reader_of(request.user, others=self._others)


def _pending(id_: str) -> Response:
    """Come again."""
    body = msgspec.json.encode({"id": id_, "stored": "pending"})
    return Response(body, 202, _RETRY_AFTER | _PRIVATE, "application/json")


def _first_id(moment: str | None) -> str | None:
    """Raises `RequestError` not_found for what is no moment."""
    if not moment:
        return None
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise RequestError("not_found") from None
    return first_id(found if found.tzinfo else found.replace(tzinfo=UTC))


def reader_of(principal: Principal, *, others: bool) -> Reader:
    """Whose images a principal may see. `others`: an admin may see everybody's, as may all where nobody has a key.

    Raises `RequestError` not_found where nobody is known: what has no owner is for admins alone.
    """
    if others and (principal.may("admin") or not principal.has_credentials):
        return Reader(principal.id, None)
    owner = owner_of(principal).account
    if not owner:
        raise RequestError("not_found")
    return Reader(principal.id, owner)


def _audit(act: str, reader: Reader, id_: str, owner: str) -> None:
    """A line for each act of an admin on images of others. Without keys nobody has a name."""
    if reader.owner is None and reader.who != owner and not reader.who.startswith(ADDRESS):
        audit_image(act, reader.who, id_, owner)
