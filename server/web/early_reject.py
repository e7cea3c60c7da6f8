"""Refusing uploads before they are parsed, while there is no room for them.

Under overload most requests are refused, and what a refusal costs is taken from those that are served: parsing HTTP in
Python costs more than an image does on a cheap model. So for a second after each refusal, the head of an upload in its
plainest form is recognised by one pattern and answered at once. Whatever is not plain, in any way, is left to the
parser: this file never decides what a request means, only that a plain one has no chance now.
"""

import asyncio
import re

from batcher import BatcherClosed, Refused
from batcher.policy import DEFAULT_URGENCY
from preprocess.errors import ImageError
from preprocess.header import Header, read_header
from server.access.principal import EVERYTHING, Principal
from server.web.client import Origin, TrustedProxies
from server.web.cors import NOBODY, Cors
from server.web.errors import RequestError
from server.web.fast_head import Upload, plain_upload
from server.web.gate import Gate
from server.web.http.rules import Rejection
from server.web.refusals import Refusals
from server.web.runtime import Runtime, owner_of
from server.web.terms import Terms

_ARMED_S = 1.0  # after a refusal
_MANY = 8
_HOPS = re.compile(rb"\r\n(x-forwarded-for|forwarded): ?([^\r]*)")
_EXAMPLE = (Principal("", EVERYTHING), Header("jpeg", 640, 480), 100_000, Terms(None, DEFAULT_URGENCY))


class EarlyReject:
    """Asked about the first bytes of every request, before its parser.

    Its whole state: until when it looks at all, how many uploads it has let in that are not in the queue yet, and the
    upload that it refused last.
    """

    def __init__(
        self,
        runtime: Runtime,
        gate: Gate,
        proxies: TrustedProxies,
        refusals: Refusals,
        max_bytes: int,
        cors: Cors = NOBODY,
    ) -> None:
        self._runtime = runtime
        self._gate = gate
        self._proxies = proxies
        self._refusals = refusals
        self._max_bytes = max_bytes
        self._cors = cors
        self._armed_until = 0.0
        self._let_in = 0
        self._example = _EXAMPLE
        self._loop = asyncio.get_running_loop()

    def arm(self) -> None:
        """An upload has been refused: look at those that come next."""
        self._armed_until = self._runtime.now() + _ARMED_S

    def __call__(self, host: str, data: bytes) -> Rejection | None:
        """What to answer to `data`, the first bytes of a request on a connection with nothing under way; None to let
        it through. What is let through has not been counted. `host`: the address that opened the connection."""
        if self._armed_until <= self._runtime.now() or self._runtime.draining:
            return None
        upload = plain_upload(data, self._max_bytes)
        if upload is None or (upload.has_origin and self._cors is not NOBODY):
            return None
        hops = _HOPS.findall(data[: upload.start].lower()) if self._proxies.contains(host) else ()
        origin = self._proxies.origin(host, hops)
        try:
            principal = self._gate.glance(upload.authorization, origin, self._runtime.now())
        except RequestError as error:
            return self._rejection(error, upload, origin)
        header = self._header(data, upload)
        if principal is None or header is None:
            return None
        size = len(data) + upload.rest - upload.start
        payload = None if upload.rest else data[upload.start :]
        if upload.terms.reuse == "allowed" and self._runtime.engine.remembers(size, payload, owner_of(principal)):
            return None
        refusal = self._runtime.would_refuse(principal, header, size, upload.terms, self._let_in)
        if refusal is None:
            self._let_in_one()
            return None
        self._example = (principal, header, size, upload.terms)
        return self._rejection(refusal, upload, origin)

    def _rejection(self, error: RequestError | Refused, upload: Upload, origin: Origin) -> Rejection:
        self.arm()
        response = self._refusals.of_upload(error, upload, origin.address)
        return Rejection(response, upload.rest, error.retry_after_s, origin.address)

    def room(self) -> int:
        """For how many uploads like the one that was refused last there is room now: many, one or none."""
        try:
            if self._runtime.would_refuse(*self._example, 0):
                return 0
            return 1 if self._runtime.would_refuse(*self._example, _MANY - 1) else _MANY
        except BatcherClosed:
            return 0

    def _header(self, data: bytes, upload: Upload) -> Header | None:
        try:
            return read_header(memoryview(data)[upload.start :], self._runtime.engine.limits)
        except ImageError:
            return None  # a form, or no image: not for this to say

    def _let_in_one(self) -> None:
        """CORRECTNESS: the loop reads many connections before a handler runs, and each of them would see the same
        queue. By the next turn of the loop those let in have been queued."""
        if not self._let_in:
            self._loop.call_soon(self._all_queued)
        self._let_in += 1

    def _all_queued(self) -> None:
        self._let_in = 0
