"""Whole responses to requests that never reach the application: rendered, counted and logged in one place."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from server.telemetry.trace_context import TraceContext
from server.web.errors import RequestError, code_of, problem_response
from server.web.fast_head import Upload
from server.web.http.date import http_date
from server.web.observer import Head, Observer
from server.web.paths import IMAGES
from server.web.request import request_id
from server.web.response import GUARDS

_LINE = re.compile(rb"([A-Z]+) ([^ ?]*)")
_ID = re.compile(rb"\r\nx-request-id:[ \t]*([^\r]*?)[ \t]*\r\n", re.IGNORECASE)
_TRACE = re.compile(rb"\r\n(traceparent|tracestate):[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_CLOSE = {"Connection": "close"}
_FINAL_WAIT_S = 0.5  # a place may be free in no time, and a successor is up in little more


class Refusals:
    """Problem documents (RFC 9457), as bytes that a connection can write."""

    def __init__(self, observer: Observer[Any], now: Callable[[], float]) -> None:
        """`now`: seconds on the monotonic clock."""
        self._observer = observer
        self._now = now

    def of_upload(self, error: Exception, upload: Upload, client: str) -> bytes:
        """The response to an upload that is refused unparsed; its connection goes on. `client`: its address."""
        head = Head(upload.id, "POST", IMAGES, client)
        return self._response(error, head, self._observer.begin(upload.headers))

    def final(self, code: str, head: bytes) -> bytes:
        """The last response on a connection. `head`: of its request, as far as it has come; it may be malformed."""
        line, given = _LINE.match(head), _ID.search(head)
        method, path = (line[1].decode("latin1"), line[2].decode("latin1")) if line else ("", "")
        trace = self._observer.begin({name.lower(): value for name, value in _TRACE.findall(head)})
        error = RequestError(code, _CLOSE, _FINAL_WAIT_S)
        return self._response(error, Head(request_id(given and given[1]), method, path), trace)

    def _response(self, error: Exception, head: Head, trace: TraceContext | None) -> bytes:
        response = problem_response(error, head.id, trace.trace_id if trace else "")
        status = HTTPStatus(response.status_code)
        self._observer.refused(head, code_of(error), status, self._now(), trace)
        headers = [*response.raw_headers, *GUARDS, (b"x-request-id", head.id.encode()), (b"date", http_date())]
        if trace:
            headers.append((b"traceresponse", trace.header().encode()))
        lines = (b"HTTP/1.1 %d %b" % (status, status.phrase.encode()), *(b"%b: %b" % header for header in headers))
        return b"\r\n".join((*lines, b"", bytes(response.body)))
