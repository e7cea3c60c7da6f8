"""POST /v1/images of a server without workers: an image into the spool, its id out; others answer it."""

import hashlib
from collections.abc import Callable

import anyio
import msgspec

from preprocess.header import Header, read_header
from server.cleanup.item import Item, pending_record
from server.cleanup.spool import Spool, SpoolRefused
from server.contract.ids import content_hash, uuid7
from server.web.images import read_image
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime, owner_of

_RECORD_BYTES = 1024  # about what the record of one that is not answered takes


class Accepted(msgspec.Struct, frozen=True):
    """The answer: 202."""

    id: str
    hash: str
    stored: bool = True


class Forwarding:
    """The resource /v1/images where nothing is answered. `spool`: a durable one."""

    def __init__(self, runtime: Runtime, max_image_bytes: int, spool: Spool) -> None:
        self._runtime = runtime
        self._max_image_bytes = max_image_bytes
        self._spool = spool

    async def post(self, request: Request) -> RawResponse:
        """Accept one image: 202 once it is on the disk. Raises what `server.web.errors` has a row for.

        Cancellation: the image may be answered all the same.
        """
        runtime = self._runtime
        size = min(request.body.declared_bytes, self._max_image_bytes)
        with runtime.engine.reserve(size, request.interruptible.interrupt) as reservation:
            image = await read_image(request, reservation)
            header = read_header(image, runtime.engine.limits)
            accepted = Accepted(uuid7(), content_hash(image))
            make = _maker(accepted, image, header, request.id, owner_of(request.principal).account)
            try:
                with anyio.fail_after(runtime.engine.slo_s):
                    await self._spool.put(accepted.id, len(image) + _RECORD_BYTES, make)
            except TimeoutError:
                raise SpoolRefused("disk") from None
        headers = [
            (b"content-type", b"application/json"),
            (b"location", f"/v1/images/{accepted.id}".encode()),
            (b"retry-after", b"1"),
        ]
        return RawResponse(202, headers, msgspec.json.encode(accepted))


def _maker(accepted: Accepted, image: bytes, header: Header, request_id: str, owner: str) -> Callable[[], Item]:
    def make() -> Item:
        sha256, media_type = hashlib.sha256(image).hexdigest(), f"image/{header.format.lower()}"
        return Item(
            pending_record(accepted.id, accepted.hash, sha256, media_type, len(image), request_id, owner), image
        )

    return make
