"""Refusing uploads before they are parsed, while there is no room for them.

Under overload most requests are refused, and what a refusal costs is taken from those that are served: parsing HTTP in
Python costs more than an image does on a cheap model. So for a second after each refusal, the head of an upload in its
plainest form is recognised by one pattern and answered at once. Whatever is not plain, in any way, is left to the
parser: this file never decides what a request means, only that a plain one has no chance now.
"""

import asyncio

from preprocess.errors import ImageError
from preprocess.header import Header, read_header
from server.web.errors import RequestError
from server.web.fast_head import Upload, plain_upload
from server.web.gate import Gate
from server.web.http.rules import Rejection
from server.web.refusals import Refusals
from server.web.runtime import Runtime

_ARMED_S = 1.0  # after a refusal


class EarlyReject:
    """Asked about the first bytes of every request, before its parser.

    Its whole state: until when it looks at all, and how many uploads it has let in that are not in the queue yet.
    """

    def __init__(self, runtime: Runtime, gate: Gate, refusals: Refusals, max_bytes: int) -> None:
        self._runtime = runtime
        self._gate = gate
        self._refusals = refusals
        self._max_bytes = max_bytes
        self._armed_until = 0.0
        self._let_in = 0
        self._loop = asyncio.get_running_loop()

    def arm(self) -> None:
        """An upload has been refused: look at those that come next."""
        self._armed_until = self._runtime.now() + _ARMED_S

    def __call__(self, host: str, data: bytes) -> Rejection | None:
        """What to answer to `data`, the first bytes of a request on a connection with nothing under way; None to let
        it through. What is let through has not been counted. `host`: the client's address."""
        if self._armed_until <= self._runtime.now() or self._runtime.draining:
            return None
        upload = plain_upload(data, self._max_bytes)
        if upload is None:
            return None
        try:
            principal = self._gate.glance(upload.authorization, host, self._runtime.now())
        except RequestError as error:
            return self._rejection(error, upload)
        header = self._header(data, upload)
        if principal is None or header is None:
            return None
        size = len(data) + upload.rest - upload.start
        payload = None if upload.rest else data[upload.start :]
        if upload.terms.reuse == "allowed" and self._runtime.engine.remembers(size, payload):
            return None
        refusal = self._runtime.would_refuse(principal, header, size, upload.terms, self._let_in)
        if refusal is None:
            self._let_in_one()
            return None
        return self._rejection(refusal, upload)

    def _rejection(self, error: Exception, upload: Upload) -> Rejection:
        self.arm()
        return Rejection(self._refusals.of_upload(error, upload.id), upload.rest)

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
