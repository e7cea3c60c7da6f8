"""Recognising the head of an upload in its plainest form, by one pattern, without a parser. Pure.

This never decides what a request means: whatever is not plain, in any way, is left to the parser.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from server.web.errors import RequestError
from server.web.request import request_id
from server.web.terms import Terms, read_terms

_HEAD_BYTES = 4096
_FAST_BYTES = 32 * 1024  # in one read: a client that sends this much at a time will send the rest at once
_END = b"\r\n\r\n"
_PLAIN_HEAD = re.compile(
    rb"POST /v1/images HTTP/1\.1((?i:\r\n(?:"
    rb"host|user-agent|accept|accept-encoding|accept-language|content-type|content-length|x-request-id|x-request-timeout-ms|priority|cache-control|connection"
    rb"|origin|referer|cookie|authorization|x-forwarded-[a-z]+|x-real-ip|forwarded|traceparent|tracestate"
    rb"): ?[\x21-\x7e][\x20-\x7e]*)+)"
)
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,15})(?=\r\n|\Z)", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost:", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:(?! ?keep-alive(?:\r\n|\Z))", re.IGNORECASE)
_ONCE = re.compile(
    rb"\r\n(x-request-timeout-ms|priority|cache-control|traceparent|tracestate): ?([^\r]*)", re.IGNORECASE
)
_AUTHORIZATION = re.compile(rb"\r\nauthorization: ?([^\r]*)", re.IGNORECASE)
_ORIGIN = re.compile(rb"\r\norigin:", re.IGNORECASE)
_ID = re.compile(rb"\r\nx-request-id: ?([^\r]*)", re.IGNORECASE)


class Upload(NamedTuple):
    """A plain upload, by its head. `start`: where its body begins; `rest`: bytes of that which are not here yet.
    `authorization`: the values of all its headers of this name."""

    id: str
    terms: Terms
    authorization: list[bytes]
    start: int
    rest: int
    has_origin: bool
    """A browser sent it, for a page that may be of another origin."""
    headers: Mapping[bytes, bytes]
    """Those that may be there once, by their names in lower case: its terms and its trace."""


def plain_upload(data: bytes, max_bytes: int) -> Upload | None:
    """The upload that `data` begins with, if its head is plain and whole, its body is here or as good as, and nothing
    follows it; else None. Whatever could make its end doubtful, or is wrong with it, makes it not plain."""
    end = data.find(_END, 0, _HEAD_BYTES)
    found = _PLAIN_HEAD.fullmatch(data, 0, end) if end > 0 else None
    if found is None:
        return None
    fields = found[1]
    lengths = _LENGTH.findall(fields)
    if len(lengths) != 1 or fields.lower().count(b"content-length:") != 1 or len(_HOST.findall(fields)) != 1:
        return None
    start = end + len(_END)
    rest = start + int(lengths[0]) - len(data)
    if rest < 0 or int(lengths[0]) > max_bytes or _CONNECTION.search(fields) or (rest and len(data) < _FAST_BYTES):
        return None
    once = _once(fields)
    terms = _terms(once) if once is not None else None
    given = _ID.search(fields)
    name, origin = request_id(given[1] if given else None), _ORIGIN.search(fields) is not None
    return terms and Upload(name, terms, _AUTHORIZATION.findall(fields), start, rest, origin, once or {})


def _once(fields: bytes) -> Mapping[bytes, bytes] | None:
    """The headers that may be there once, by their names in lower case; None where one is there twice."""
    found = [(name.lower(), value.rstrip(b" ")) for name, value in _ONCE.findall(fields)]
    return dict(found) if len(dict(found)) == len(found) else None


def _terms(headers: Mapping[bytes, bytes]) -> Terms | None:
    try:
        return read_terms(headers)
    except RequestError:
        return None
