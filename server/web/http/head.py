"""The head of a request, checked before any parser sees it. Pure.

The grammar is RFC 9112's without the forms that it tolerates: a proxy may read a tolerated form differently, and what
follows would be smuggled past it. One check stands before both HTTP servers, so that they agree.
"""

import re
from typing import Final, TypeAlias

HEAD_BYTES: Final = 16 * 1024
HEAD_END: Final = b"\r\n\r\n"
_MAX_LINES: Final = 102  # 100 headers, the request line and the empty one
_LONGEST_LENGTH: Final = 19  # digits

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    rb"(%b) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])\r\n(?:%b:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n" % (_TOKEN, _TOKEN)
)
_HOST: Final = b"\r\nhost:"
_LENGTH: Final = b"\r\ncontent-length:"
_CODING: Final = b"\r\ntransfer-encoding:"
_ABSOLUTE = re.compile(rb"https?://[^/?#@]+", re.IGNORECASE)
METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND "
    b"UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK "
    b"SOURCE QUERY".split()
)
"""Those that both parsers know. CONNECT is none: there is no tunnel."""


Head: TypeAlias = tuple[str, int | None]
"""The code of what is wrong with a head, or ""; and the bytes of its body, None where chunks tell."""
_NO_BODY: Final[Head] = ("", 0)


def check_head(head: bytes) -> Head:
    """Check a head, from its first byte to the empty line at its end.

    Faults: headers_too_large, malformed_request, bad_content_length, not_implemented.
    """
    if len(head) > HEAD_BYTES or head.count(b"\n") > _MAX_LINES:
        return _at_fault("headers_too_large")
    found = _HEAD.fullmatch(head)
    if found is None:
        return _at_fault("malformed_request")
    method, target, minor = found.groups()
    if method not in METHODS:
        return _at_fault("malformed_request" if method == b"CONNECT" else "not_implemented")
    if not (target.startswith(b"/") or _ABSOLUTE.match(target) or (target == b"*" and method == b"OPTIONS")):
        return _at_fault("malformed_request")
    return _framing(head.lower(), minor == b"0")


def _framing(head: bytes, is_1_0: bool) -> Head:
    """How the body ends. `head`: in lower case."""
    hosts, lengths, codings = head.count(_HOST), head.count(_LENGTH), head.count(_CODING)
    if hosts > 1 or lengths + codings > 1 or not (hosts or is_1_0):
        return _at_fault("malformed_request")
    if codings:
        if is_1_0:
            return _at_fault("malformed_request")
        return ("", None) if _value(head, _CODING) == b"chunked" else _at_fault("not_implemented")
    if not lengths:
        return _NO_BODY
    length = _value(head, _LENGTH)
    if not (length.isdigit() and len(length) <= _LONGEST_LENGTH):
        return _at_fault("bad_content_length")
    return ("", int(length))


def _value(head: bytes, name: bytes) -> bytes:
    start = head.index(name) + len(name)
    return head[start : head.index(b"\r\n", start)].strip(b" \t")


def _at_fault(code: str) -> Head:
    return (code, 0)


def is_hopeless(begun: bytes) -> str:
    """The code of what is wrong with the beginning of a head already, or ""."""
    if len(begun) > HEAD_BYTES:
        return "headers_too_large"
    if not begun[:1].isalpha() or begun.count(b"\n") != begun.count(b"\r\n"):
        return "malformed_request"
    return ""


def origin_form(target: bytes) -> bytes:
    """The path and query of a checked target: `http://host/path?query` is `/path?query` (RFC 9112, section 3.2.2)."""
    if target.startswith(b"/"):
        return target
    path = _ABSOLUTE.sub(b"", target, count=1)
    return path if path.startswith(b"/") else b"/" + path
