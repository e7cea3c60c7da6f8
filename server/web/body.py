"""The body of a request, under guard: no body is too large or too slow, and no early answer leaks a connection.

Two facts about hypercorn shape it. It hands body events to a queue of ten: when an application answers
without reading them, its own `send` of the last event waits behind that queue for good. And it closes a
connection whose request was not read to its end, so that the client may lose the answer to a reset.

So an answer to a body that has not ended is sent whole but held open while the rest of the body is read and
thrown away, within bounds; then, whether or not the body ended, the last event is sent while a task beside
it goes on reading.
"""

import asyncio
import math
from collections.abc import Mapping

from starlette.types import Message, Receive, Send

from server.web.errors import ClientGone, RequestError
from server.web.interrupt import Interruptible
from server.web.uploads import Uploads

_GRACE_S = 5.0
_DRAIN_S = 5.0
_CLOSE = {"Connection": "close"}


class Body:
    """One request's body: `read` it piece by piece, or answer without it."""

    __slots__ = (
        "_alarm", "_headers", "_interruptible", "_limits", "_loop", "_max_bytes", "_receive", "_seen", "_started",
        "_uploads", "ended",
    )  # fmt: skip

    def __init__(
        self,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        uploads: Uploads,
        interruptible: Interruptible,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.ended = not (b"content-length" in headers or b"transfer-encoding" in headers)
        """Nothing more of it will come."""
        self._headers = headers
        self._receive = receive
        self._limits = uploads.limits
        self._max_bytes = uploads.limits.max_bytes
        self._uploads = uploads
        self._interruptible = interruptible
        self._seen = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._loop = loop
        self._started = loop.time()

    @property
    def declared_bytes(self) -> int:
        """Its Content-Length, which `server.web.http.head` has checked; 0 where there is none."""
        return int(self._headers.get(b"content-length", b"0"))

    @property
    def rest_s(self) -> float:
        """Seconds until the rest is here, at the rate so far; infinity if unknown."""
        if self.ended:
            return 0.0
        if not self._seen or not self.declared_bytes:
            return math.inf
        return (self._loop.time() - self._started) * (self.declared_bytes - self._seen) / self._seen

    def allow(self, max_bytes: int) -> None:
        """This body may be of another size than that of one image. For before it is read."""
        self._max_bytes = max_bytes

    async def read(self) -> bytes | None:
        """The next piece; None at the end.

        Raises `RequestError`: body_too_large, upload_timeout; `ClientGone`.
        """
        if self.ended:
            return None
        if self._alarm is None:
            if self.declared_bytes > self._max_bytes:
                raise RequestError("body_too_large")
            self._uploads.begin(self)
            self._alarm = self._loop.call_at(self._next_due(), self._on_alarm)
        message = await self._receive()
        self._note(message)
        if message["type"] == "http.disconnect":
            raise ClientGone
        if self._seen > self._max_bytes:
            raise RequestError("body_too_large")
        piece: bytes = message["body"]
        return piece

    async def answer(self, send: Send, last: Message) -> None:
        """Send the last event of a response, though the body may not have ended."""
        if self.ended:
            await send(last)
            return
        self._stop_alarm()
        await send({**last, "more_body": True})
        await self._drain()
        await self._finish(send)

    def abandon(self) -> None:
        """It will be neither read nor answered: release it now, not at its time limit."""
        self.ended = True
        self._stop_alarm()

    def _next_due(self) -> float:
        """When more must have come: what is here has bought time at the minimum rate, up to the whole body's and up to
        the end of all uploads."""
        bought_s = _GRACE_S + self._seen / self._limits.min_rate
        return min(self._started + min(bought_s, self._limits.timeout_s), self._uploads.until)

    def look_at_clock(self) -> None:
        """As `Timed.look_at_clock`."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = self._loop.call_at(self._next_due(), self._on_alarm)

    def _on_alarm(self) -> None:
        due = self._next_due()
        if self._loop.time() < due:
            self._alarm = self._loop.call_at(due, self._on_alarm)
        else:
            self._interruptible.interrupt(RequestError("upload_timeout", _CLOSE))

    def _stop_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._uploads.end(self)

    def _note(self, message: Message) -> None:
        self._seen += len(message.get("body", b""))
        if not message.get("more_body", False):
            self.ended = True
            self._stop_alarm()

    async def _drain(self) -> None:
        """Read the rest of the body and throw it away: at most twice the byte limit, for a few seconds; not at all once
        uploads have ended."""
        budget = self._seen + 2 * self._limits.max_bytes
        try:
            async with asyncio.timeout(min(_DRAIN_S, max(0.0, self._uploads.until - self._loop.time()))):
                while not self.ended and self._seen < budget:
                    self._note(await self._receive())
        except TimeoutError:
            pass

    async def _finish(self, send: Send) -> None:
        """Send the last event. CORRECTNESS: while a task reads beside it, or it waits behind a full queue."""
        last: Message = {"type": "http.response.body", "body": b"", "more_body": False}
        if self.ended:
            await send(last)
            return
        reading = asyncio.ensure_future(self._read_on())
        try:
            await send(last)
        finally:
            reading.cancel()

    async def _read_on(self) -> None:
        while not self.ended:
            self._note(await self._receive())
