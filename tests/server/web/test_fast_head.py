"""Which uploads may be refused without a parser: only those that a parser could read in no other way."""

import pytest

from server.web.fast_head import plain_upload
from server.web.terms import Terms

HOST, LENGTH = b"Host: t", b"Content-Length: 4"


def request(*fields, line=b"POST /v1/images HTTP/1.1", body=b"jpeg"):
    return b"\r\n".join([line, *fields, b"", body])


@pytest.mark.parametrize(
    "fields",
    [
        (HOST, LENGTH),
        (LENGTH, HOST),
        (b"host:t", b"content-length:4"),
        (HOST, LENGTH, b"Content-Type: image/jpeg", b"Accept: */*", b"User-Agent: curl/8.5.0"),
        (HOST, LENGTH, b"Connection: keep-alive"),
        (HOST, LENGTH, b"X-Forwarded-For: 10.0.0.1", b"Cookie: a=b; c=d"),
    ],
)
def test_whole_upload_that_asks_for_nothing_special_is_plain(fields):
    """Whatever of the usual headers it carries; nothing of it is still to come."""
    assert 0 == plain_upload(request(*fields), 1000).rest


def test_sane_request_id_is_kept():
    """It is echoed in the refusal, as in every other answer."""
    assert "a-1" == plain_upload(request(HOST, LENGTH, b"X-Request-ID: a-1"), 1000).id


def test_insane_request_id_is_replaced():
    """Nothing a client sends gets into a response but what is harmless there."""
    name = plain_upload(request(HOST, LENGTH, b"X-Request-ID: <a> b"), 1000).id

    assert 36 == len(name)


def test_terms_are_read():
    """A deadline and an urgency of its own do not make an upload peculiar."""
    control = b"Cache-Control: no-store"
    assert "never" == plain_upload(request(HOST, LENGTH, control), 1000).terms.reuse
    upload = plain_upload(request(HOST, LENGTH, b"X-Request-Timeout-Ms: 50", b"Priority: u=1"), 1000)

    assert Terms(0.05, 1) == upload.terms


def test_its_trace_is_read():
    """A refusal names the trace, as every other answer does."""
    upload = plain_upload(request(HOST, LENGTH, b"Traceparent: 00-x ", b"TRACESTATE:a=1"), 1000)

    assert {b"traceparent": b"00-x", b"tracestate": b"a=1"} == upload.headers


@pytest.mark.parametrize(
    "data",
    [
        request(HOST, LENGTH, b"traceparent: a", b"Traceparent: b"),
        request(LENGTH),
        request(HOST, HOST, LENGTH),
        request(HOST),
        request(HOST, LENGTH, LENGTH),
        request(HOST, LENGTH, b"content-LENGTH: 5"),
        request(HOST, b"Content-Length: +4"),
        request(HOST, b"Content-Length: 4, 4"),
        request(HOST, b"Content-Length: 0x4"),
        request(HOST, b"Content-Length : 4"),
        request(HOST, b" Content-Length: 4"),
        request(HOST, b"Content-Length:\t4"),
        request(HOST, b"Content-Length: 4 "),
        request(HOST, LENGTH, b"Transfer-Encoding: chunked"),
        request(HOST, LENGTH, b"X-Request-Timeout-Ms: soon"),
        request(HOST, LENGTH, b"X-Request-Timeout-Ms: 50", b"x-request-timeout-ms: 60"),
        request(HOST, LENGTH, b"Expect: 100-continue"),
        request(HOST, LENGTH, b"Upgrade: h2c"),
        request(HOST, LENGTH, b"Connection: close"),
        request(HOST, LENGTH, b"Connection: keep-alive, upgrade"),
        request(HOST, LENGTH, b"Content-Encoding: gzip"),
        request(HOST, LENGTH, b"Accept: a", b" folded: b"),
        request(HOST, LENGTH, b"Accept: a\nPriority: u=0"),
        request(HOST, LENGTH, b"Accept: a\x00b"),
        request(HOST, LENGTH, b"Accept: \xff"),
        request(HOST, LENGTH, b"Cookie: x\rPriority: u=0"),
        request(HOST, LENGTH, line=b"GET /v1/images HTTP/1.1"),
        request(HOST, LENGTH, line=b"POST /v1/images HTTP/1.0"),
        request(HOST, LENGTH, line=b"POST /v1/images?x HTTP/1.1"),
        request(HOST, LENGTH, line=b"POST  /v1/images HTTP/1.1"),
        request(HOST, LENGTH, line=b"\r\nPOST /v1/images HTTP/1.1"),
        request(HOST, LENGTH)[:30],
        request(HOST, LENGTH, b"Cookie: " + b"x" * 5000),
        request(HOST, LENGTH, body=b"jpe"),
        request(HOST, LENGTH, body=b"jpegGET / HTTP/1.1\r\n\r\n"),
        request(HOST, b"Content-Length: 2000", body=b"x" * 2000),
    ],
)  # fmt: skip
def test_anything_else_is_left_to_the_parser(data):
    """What changes deadline, urgency or end; what two readers may take differently; what is large or not all here."""
    assert plain_upload(data, 1000) is None


def test_large_upload_need_not_be_all_here():
    """Who has sent much at once will have sent the rest by the time it is read."""
    upload = plain_upload(request(HOST, b"Content-Length: 100000", body=b"x" * 60_000), 1_000_000)

    assert 40_000 == upload.rest
