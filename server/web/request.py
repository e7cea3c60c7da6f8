"""One request as everything behind the connection sees it."""

import asyncio
import re
from collections.abc import Mapping
from typing import TypedDict

from starlette.types import Receive, Scope

from server.access.principal import Principal
from server.contract.ids import uuid7
from server.telemetry.record import Progress
from server.telemetry.trace_context import TraceContext
from server.web.body import Body
from server.web.client import Origin
from server.web.interrupt import Interruptible
from server.web.uploads import Uploads

_SANE_ID = re.compile(rb"[A-Za-z0-9._~:+/=@-]{1,128}")


class TraceFields(TypedDict, total=False):
    """What a log line says of a trace: nothing where there is none."""

    trace_id: str


class Request:
    """The head of a request, its body still to be read, and what may end it early.

    `headers`: names in lower case; of one that is repeated, the last. `id`: the client's own if it is sane, else a
    UUIDv7. `received`: seconds on the monotonic clock, when its head was complete. `trace`: where it stands in a trace,
    if it names one or begins one. `progress`: how far it has come.
    """

    __slots__ = (
        "body", "headers", "id", "interruptible", "origin", "principal", "progress", "received", "scope", "trace",
    )  # fmt: skip

    def __init__(
        self, scope: Scope, receive: Receive, uploads: Uploads, received: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.scope = scope
        self.principal: Principal
        """Who asks; set at the gate."""
        self.origin: Origin
        """Where it comes from; set before all else is done for it."""
        self.received = received
        self.trace: TraceContext | None = None
        self.progress = Progress()
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.id = request_id(self.headers.get(b"x-request-id"))
        self.interruptible = Interruptible(loop)
        self.body = Body(self.headers, receive, uploads, self.interruptible, loop)

    @property
    def trace_id(self) -> str:
        """The id of its trace, or ""."""
        return self.trace.trace_id if self.trace else ""

    @property
    def trace_fields(self) -> TraceFields:
        """What log lines about it say of its trace."""
        return {"trace_id": self.trace.trace_id} if self.trace else {}


def client_host(scope: Scope) -> str:
    """The address that the request came from."""
    client = scope.get("client")
    return client[0] if client else ""


def request_id(given: bytes | None) -> str:
    """What a client calls its request, if that is sane; else a UUIDv7."""
    return given.decode() if given is not None and _SANE_ID.fullmatch(given) else uuid7()
