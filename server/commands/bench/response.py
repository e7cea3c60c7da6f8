"""HTTP/1.1 responses, one at a time, from the pieces they come in. Knows no socket.

It reads what a server may send: a length, chunks, or a body that ends with the connection; informational
responses are passed over. It is on the path of every request, so the usual case takes one search a header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST = 16_000_000  # bytes of one response: more is no answer to a picture
_MOST_HEAD = 64_000  # bytes

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked[ \t]*\r\n", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:([^\r]*)\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)[ \r]")


class BadResponse(Exception):
    """What came is not one HTTP/1.1 response."""


@dataclass(frozen=True, slots=True)
class Response:
    """`head` with its blank line. `closes`: no further request may follow on the connection."""

    status: int
    head: bytes
    body: bytes
    closes: bool


class Parser:
    """Feed it what comes; it gives the response once it is whole, and is then ready for the next."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._head = 0  # bytes of the head with its blank line; 0 until it is whole
        self._status = 0
        self._length: int | None = None  # of the body; None: it is chunked or ends with the connection
        self._chunked = False
        self._at = 0  # where the next chunk begins
        self._body = bytearray()  # of the chunks so far
        self._closes = False

    @property
    def begun(self) -> bool:
        """Some of a response is there."""
        return bool(self._data) or bool(self._head)

    def feed(self, data: bytes) -> Response | None:
        """The response, if `data` completes it. Raises `BadResponse`."""
        self._data += data
        if len(self._data) > _MOST:
            raise BadResponse("a response too large for an answer")
        if not self._head and not self._read_head():
            return None
        if self._chunked:
            return self._read_chunks()
        if self._length is None or len(self._data) < self._head + self._length:
            return None
        if len(self._data) > self._head + self._length:
            raise BadResponse("more than one response")
        return self._whole(bytes(self._data[self._head :]))

    def end(self) -> Response | None:
        """The connection has ended: the response if that completes it, else None."""
        if self._head and self._length is None and not self._chunked:
            self._closes = True
            return self._whole(bytes(self._data[self._head :]))
        return None

    def _read_head(self) -> bool:
        while True:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > _MOST_HEAD or not b"HTTP/1.".startswith(self._data[:7]):
                    raise BadResponse("not HTTP/1.x")
                return False
            found = _STATUS.match(self._data)
            if not found:
                raise BadResponse("not HTTP/1.x")
            if found[2][0] != ord("1"):
                break
            if found[2] == b"101":
                raise BadResponse("another protocol than HTTP/1.1")
            del self._data[: end + 4]  # 100 Continue and the like
        self._head, self._status = end + 4, int(found[2])
        head = bytes(self._data[: self._head])
        length = _LENGTH.search(head)
        self._chunked = bool(_CHUNKED.search(head))
        self._at = self._head
        self._length = None if self._chunked or not length else int(length[1])
        if self._status in (204, 304):
            self._length, self._chunked = 0, False
        said = _CONNECTION.search(head)
        words = said[1].lower() if said else b""
        self._closes = b"close" in words or (found[1] == b"0" and b"keep-alive" not in words)
        return True

    def _read_chunks(self) -> Response | None:
        while True:
            end = self._data.find(b"\r\n", self._at)
            if end < 0:
                return None
            try:
                size = int(bytes(self._data[self._at : end]).partition(b";")[0].strip() or b"x", 16)
            except ValueError:
                raise BadResponse("a chunk without a size") from None
            if size == 0:
                return self._read_trailer(end)
            if len(self._data) < end + 2 + size + 2:
                return None
            self._body += self._data[end + 2 : end + 2 + size]
            self._at = end + 2 + size + 2

    def _read_trailer(self, last: int) -> Response | None:
        """Trailers, if any, up to a blank line; `last` is where the last chunk's line ends."""
        end = self._data.find(b"\r\n\r\n", last)
        if end < 0:
            return None
        if len(self._data) > end + 4:
            raise BadResponse("more than one response")
        return self._whole(bytes(self._body))

    def _whole(self, body: bytes) -> Response:
        response = Response(self._status, bytes(self._data[: self._head]), body, self._closes)
        self._data.clear()
        self._body.clear()
        self._head = self._at = 0
        return response
