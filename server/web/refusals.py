"""Whole responses to requests that never reach the application: rendered, counted and logged in one place."""

import re
from http import HTTPStatus

from server.process.access_log import AccessLog
from server.web.counting import Counting
from server.web.errors import RequestError, code_of, problem_response
from server.web.http.date import http_date
from server.web.request import request_id
from server.web.response import GUARDS

_PATH = re.compile(rb"[A-Z]+ ([^ ?]*)")
_ID = re.compile(rb"\r\nx-request-id:[ \t]*([^\r]*?)[ \t]*\r\n", re.IGNORECASE)
_CLOSE = {"Connection": "close"}
_FINAL_WAIT_S = 0.5  # a place may be free in no time, and a successor is up in little more


class Refusals:
    """Problem documents (RFC 9457), as bytes that a connection can write."""

    def __init__(self, metrics: Counting, access_log: AccessLog) -> None:
        self._metrics = metrics
        self._access_log = access_log

    def of_upload(self, error: Exception, name: str, client: str) -> bytes:
        """The response to an upload that is refused unparsed; its connection goes on. `name`: the request's id;
        `client`: its address."""
        return self._response(error, "/v1/images", name, client)

    def final(self, code: str, head: bytes) -> bytes:
        """The last response on a connection. `head`: of its request, as far as it has come; it may be malformed."""
        path, given = _PATH.match(head), _ID.search(head)
        error = RequestError(code, _CLOSE, _FINAL_WAIT_S)
        return self._response(error, path[1].decode("latin1") if path else "", request_id(given and given[1]))

    def _response(self, error: Exception, path: str, name: str, client: str = "") -> bytes:
        code = code_of(error)
        resource = self._metrics.count(path, code)
        self._access_log.request(name, resource, code, client=client)
        response = problem_response(error, name)
        status = HTTPStatus(response.status_code)
        headers = [*response.raw_headers, *GUARDS, (b"x-request-id", name.encode()), (b"date", http_date())]
        lines = (b"HTTP/1.1 %d %b" % (status, status.phrase.encode()), *(b"%b: %b" % header for header in headers))
        return b"\r\n".join((*lines, b"", bytes(response.body)))
