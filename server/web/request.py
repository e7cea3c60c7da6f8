"""One request as everything behind the connection sees it."""

import asyncio
import re
from collections.abc import Mapping

from starlette.types import Receive, Scope

from server.access.principal import Principal
from server.contract.ids import uuid7
from server.web.body import Body
from server.web.interrupt import Interruptible
from server.web.uploads import Uploads

_SANE_ID = re.compile(rb"[A-Za-z0-9._~:+/=@-]{1,128}")


class Request:
    """The head of a request, its body still to be read, and what may end it early.

    `headers`: names in lower case; of one that is repeated, the last. `id`: the client's own if it is sane, else a
    UUIDv7. `received`: seconds on the monotonic clock, when its head was complete.
    """

    __slots__ = ("body", "headers", "id", "interruptible", "principal", "received", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, uploads: Uploads, received: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.scope = scope
        self.principal: Principal
        """Who asks; set at the gate."""
        self.received = received
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.id = request_id(self.headers.get(b"x-request-id"))
        self.interruptible = Interruptible(loop)
        self.body = Body(self.headers, receive, uploads, self.interruptible, loop)


def client_host(scope: Scope) -> str:
    """The address that the request came from."""
    client = scope.get("client")
    return client[0] if client else ""


def request_id(given: bytes | None) -> str:
    """What a client calls its request, if that is sane; else a UUIDv7."""
    return given.decode() if given is not None and _SANE_ID.fullmatch(given) else uuid7()
