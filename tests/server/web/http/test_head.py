"""Which heads are well-formed, and how long their bodies are."""

import pytest

from server.web.http.head import check_head, origin_form


def head(*fields, line=b"GET / HTTP/1.1", host=(b"Host: t",)):
    return b"\r\n".join([line, *host, *fields, b"", b""])


@pytest.mark.parametrize(
    ("given", "body_bytes"),
    [
        (head(), 0),
        (head(line=b"GET / HTTP/1.0", host=()), 0),
        (head(b"content-length:5"), 5),
        (head(b"CONTENT-LENGTH: \t 0012 "), 12),
        (head(b"Transfer-Encoding: Chunked"), None),
        (head(b"X-Content-Length: 5"), 0),
        (head(b"X: content-length: 5"), 0),
        (head(b"A!#$%&'*+.^_`|~-9: \xff"), 0),
    ],
)
def test_well_formed_head_says_how_long_its_body_is(given, body_bytes):
    """None where chunks tell; nothing where nothing is said."""
    assert ("", body_bytes) == check_head(given)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (head(b"A:" + b"a" * 20_000), "headers_too_large"),
        (head(*[b"A: b"] * 100), "headers_too_large"),
        (head(line=b"BREW / HTTP/1.1"), "not_implemented"),
        (head(b"Transfer-Encoding: gzip"), "not_implemented"),
        (head(b"Content-Length: 1_0"), "bad_content_length"),
        (head(b"Content-Length: " + "¹".encode()), "bad_content_length"),
        (head(b"Content-Length: 1", b"Transfer-Encoding: chunked"), "malformed_request"),
        (head(b"Host: u"), "malformed_request"),
        (head(host=()), "malformed_request"),
        (head(b"A: b\nContent-Length: 5"), "malformed_request"),
        (head(line=b"GET / HTTP/1.1\nA: b"), "malformed_request"),
    ],
)
def test_other_heads_are_at_fault(given, fault):
    """With the code that the client is told. All of them over a socket: tests/faults/test_unusual.py."""
    assert fault == check_head(given)[0]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b=http://c", b"/a?b=http://c"),
        (b"http://example.com/a?b", b"/a?b"),
        (b"HTTP://[::1]:80/a", b"/a"),
        (b"https://example.com", b"/"),
        (b"http://example.com?b", b"/?b"),
        (b"*", b"/*"),
    ],
)
def test_path_and_query_of_a_target(target, expected):
    """A server must take the absolute form, whoever it names (RFC 9112, section 3.2.2)."""
    assert expected == origin_form(target)
