"""Requests that are rarely seen: one outcome for each, the same on both HTTP servers.

An outcome is all that is answered, up to a canary sent behind the request: the status, or a problem's code. Where the
canary's 200 is not there, the connection was closed. `docs/fault-matrix.md` has the table in short.
"""

import asyncio
import base64
import json
import re
import urllib.parse

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IMAGE = photo(1)
CANARY = b"GET /healthz HTTP/1.1\r\nhost: canary\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(IMAGE)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(IMAGE), IMAGE)


def ask(line, *headers, body=b"", host=(b"Host: t",)):
    return b"\r\n".join([line, *host, *headers, b"", body])


def get(target, *headers, method=b"GET", version=b"1.1", **more):
    return ask(b"%b %b HTTP/%b" % (method, target, version), *headers, **more)


def post(*headers, body=IMAGE, target=b"/v1/images", **more):
    return get(target, *headers, method=b"POST", body=body, **more)


def dot_net_form():
    """A form with a name of 255 bytes, written as .NET's HttpClient does."""
    name = "\u5199" * 85 + ".jpg"
    plain, extended = base64.b64encode(name.encode()).decode(), urllib.parse.quote(name)
    field = f"Content-Disposition: form-data; name=image; filename=\"=?utf-8?B?{plain}?=\"; filename*=utf-8''{extended}"
    body = b"--XbX\r\n" + field.encode() + b"\r\n\r\n" + IMAGE + b"\r\n--XbX--\r\n"
    return post(b"Content-Type: multipart/form-data; boundary=XbX", b"Content-Length: %d" % len(body), body=body)


SERVED, REFUSED = ["200", "200"], ["malformed_request"]

TARGETS = {
    "absolute-form": (post(LENGTH, target=b"http://example.com/v1/images"), SERVED),
    "absolute-form with another scheme's letters": (get(b"HTTPS://example.com:443/healthz"), SERVED),
    "absolute-form without a path": (get(b"http://example.com"), SERVED),
    "absolute-form with a query and no path": (get(b"http://example.com?a=b"), SERVED),
    "absolute-form without a host": (get(b"http:///healthz"), REFUSED),
    "absolute-form of another scheme": (get(b"ftp://example.com/healthz"), REFUSED),
    "authority-form": (get(b"example.com:80"), REFUSED),
    "CONNECT": (get(b"example.com:443", method=b"CONNECT"), REFUSED),
    "OPTIONS *": (get(b"*", method=b"OPTIONS"), ["not_found", "200"]),
    "GET *": (get(b"*"), REFUSED),
    "no slash": (get(b"healthz"), REFUSED),
    "fragment": (get(b"/healthz#a"), REFUSED),
    "query": (get(b"/healthz?a=%20&b=?c"), SERVED),
    "empty query": (get(b"/healthz?"), SERVED),
    "percent-encoded path": (get(b"/%68ealthz"), SERVED),
    "encoded slash": (get(b"/v1%2fimages"), ["method_not_allowed", "200"]),
    "percent without digits": (get(b"/%zz"), ["not_found", "200"]),
    "encoded bytes that are no UTF-8": (get(b"/%ff"), ["not_found", "200"]),
    "two slashes": (get(b"//healthz"), ["not_found", "200"]),
    "dot segments": (get(b"/a/../healthz"), ["not_found", "200"]),
    "trailing slash": (get(b"/healthz/"), ["not_found", "200"]),
    "backslash": (get(b"/\\healthz"), ["not_found", "200"]),
    "path that is not ASCII": (get("/é".encode()), REFUSED),
    "space in the target": (get(b"/a b"), REFUSED),
    "target of 20,000 bytes": (get(b"/" + b"a" * 20_000), ["headers_too_large"]),
}

LINES = {
    "empty line before the request line": (b"\r\n" + CANARY, SERVED),
    "five of them": (b"\r\n" * 5 + CANARY, SERVED),
    "empty line behind a body": (post(LENGTH) + b"\r\n", SERVED),
    "bare LF before the request line": (b"\n" + CANARY, REFUSED),
    "bare LF after a header": (post(LENGTH).replace(b"t\r\nC", b"t\nC"), REFUSED),
    "bare LF after the request line": (get(b"/healthz").replace(b"1.1\r\n", b"1.1\n"), REFUSED),
    "bare LF after every line": (get(b"/healthz").replace(b"\r\n", b"\n"), REFUSED),
    "bare CR in a header": (get(b"/healthz", b"A: b\rc"), REFUSED),
    "two spaces in the request line": (b"GET  /healthz HTTP/1.1\r\nHost: t\r\n\r\n", REFUSED),
    "tab in the request line": (b"GET\t/healthz HTTP/1.1\r\nHost: t\r\n\r\n", REFUSED),
    "space after the version": (b"GET /healthz HTTP/1.1 \r\nHost: t\r\n\r\n", REFUSED),
    "space before the method": (b" " + CANARY, REFUSED),
    "version in small letters": (b"GET /healthz http/1.1\r\nHost: t\r\n\r\n", REFUSED),
    "no version": (b"GET /healthz\r\n\r\n", REFUSED),
    "HTTP/1.2": (get(b"/healthz", version=b"1.2"), REFUSED),
    "HTTP/2.0": (get(b"/healthz", version=b"2.0"), REFUSED),
    "HTTP/1.0": (get(b"/healthz", version=b"1.0"), ["200"]),
    "HTTP/1.0 without a host": (get(b"/healthz", version=b"1.0", host=()), ["200"]),
    "HTTP/1.0 with keep-alive": (get(b"/healthz", b"Connection: keep-alive", version=b"1.0"), ["200"]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), REFUSED),
}

METHODS = {
    "HEAD": (get(b"/healthz", method=b"HEAD"), SERVED),
    "HEAD of nothing": (get(b"/nothing", method=b"HEAD"), ["404", "200"]),
    "HEAD of uploads": (get(b"/v1/images", method=b"HEAD"), ["405", "200"]),
    "OPTIONS": (get(b"/v1/images", method=b"OPTIONS"), ["204", "200"]),
    "TRACE": (get(b"/healthz", method=b"TRACE"), ["method_not_allowed", "200"]),
    "DELETE": (get(b"/healthz", method=b"DELETE"), ["method_not_allowed", "200"]),
    "method nobody knows": (get(b"/healthz", method=b"BREW"), ["not_implemented"]),
    "method in small letters": (get(b"/healthz", method=b"get"), ["not_implemented"]),
    "GET with a body": (get(b"/healthz", b"Content-Length: 5", body=b"hello"), SERVED),
    "GET with a chunked body": (get(b"/healthz", CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"), SERVED),
}

HEADERS = {
    "no host": (get(b"/healthz", host=()), REFUSED),
    "two hosts": (get(b"/healthz", b"Host: t"), REFUSED),
    "empty host": (get(b"/healthz", host=(b"Host:",)), SERVED),
    "name without a value": (get(b"/healthz", b"A:"), SERVED),
    "value between spaces and tabs": (get(b"/healthz", b"A: \t b \t "), SERVED),
    "value that is not ASCII": (get(b"/healthz", "A: é".encode()), SERVED),
    "control character in a value": (get(b"/healthz", b"A: \x01"), REFUSED),
    "NUL in a value": (get(b"/healthz", b"A: \0"), REFUSED),
    "space before the colon": (get(b"/healthz", b"A : b"), REFUSED),
    "no colon": (get(b"/healthz", b"A"), REFUSED),
    "no name": (get(b"/healthz", b": b"), REFUSED),
    "name with a bracket": (get(b"/healthz", b"A(: b"), REFUSED),
    "folded header": (get(b"/healthz", b"A: b\r\n c"), REFUSED),
    "folded first header": (get(b"/healthz", host=(b" Host: t",)), REFUSED),
    "100 headers": (get(b"/healthz", *[b"A: b"] * 99), SERVED),
    "101 headers": (get(b"/healthz", *[b"A: b"] * 100), ["headers_too_large"]),
    "Content-Encoding: identity": (post(LENGTH, b"Content-Encoding: identity"), SERVED),
    "Content-Encoding: gzip": (post(LENGTH, b"Content-Encoding: gzip"), ["encoded_body", "200"]),
    "gzip, then identity": (
        post(LENGTH, b"Content-Encoding: gzip", b"Content-Encoding: identity"),
        ["encoded_body", "200"],
    ),
    "Connection: close with bytes behind it": (post(LENGTH, b"Connection: close"), ["200"]),
    "Connection: close among others": (post(LENGTH, b"Connection: TE, close"), ["200"]),
    "offer of h2c": (post(LENGTH, b"Connection: upgrade", b"Upgrade: h2c"), SERVED),
    "offer of a websocket": (get(b"/healthz", b"Connection: upgrade", b"Upgrade: websocket"), SERVED),
    "Expect: 100-continue": (post(LENGTH, b"Expect: 100-continue"), SERVED),
    "Expect of another kind": (post(LENGTH, b"Expect: tea"), SERVED),
    ".NET form with a name of 255 bytes": (dot_net_form(), SERVED),
}

BODIES = {
    "Content-Length and chunks": (post(LENGTH, CHUNKED, body=CHUNKS), REFUSED),
    "chunks on HTTP/1.0": (post(CHUNKED, body=CHUNKS, version=b"1.0"), REFUSED),
    "the same Content-Length twice": (post(LENGTH, LENGTH), REFUSED),
    "the same Content-Length in a list": (post(LENGTH + b", %d" % len(IMAGE)), ["bad_content_length"]),
    "two Content-Lengths": (post(LENGTH, b"Content-Length: 1"), REFUSED),
    "Content-Length of zeros before it": (post(b"Content-Length: 000%d" % len(IMAGE)), SERVED),
    "signed Content-Length": (post(b"Content-Length: +1"), ["bad_content_length"]),
    "empty Content-Length": (post(b"Content-Length:"), ["bad_content_length"]),
    "Content-Length of 30 digits": (post(b"Content-Length: " + b"9" * 30), ["bad_content_length"]),
    "POST without a length": (post(body=b""), ["image_empty", "200"]),
    "Transfer-Encoding: Chunked": (post(b"Transfer-Encoding: Chunked", body=CHUNKS), SERVED),
    "Transfer-Encoding: gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), ["not_implemented"]),
    "Transfer-Encoding: identity": (post(b"Transfer-Encoding: identity"), ["not_implemented"]),
    "Transfer-Encoding twice": (post(CHUNKED, CHUNKED, body=CHUNKS), REFUSED),
    "chunks": (post(CHUNKED, body=CHUNKS), SERVED),
    "chunk size in capitals, with zeros": (
        post(CHUNKED, body=b"000%X" % len(IMAGE) + CHUNKS[CHUNKS.index(b"\r") :]),
        SERVED,
    ),
    "chunk extension": (post(CHUNKED, body=CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)), SERVED),
    "trailer": (post(CHUNKED, body=CHUNKS[:-2] + b"A: b\r\n\r\n"), SERVED),
    "folded trailer": (post(CHUNKED, body=CHUNKS[:-2] + b"A: b\r\n c\r\n\r\n"), REFUSED),
    "bare LF after a trailer": (post(CHUNKED, body=CHUNKS[:-2] + b"A: b\n\r\n"), REFUSED),
    "bare LF after a chunk size": (post(CHUNKED, body=CHUNKS.replace(b"\r\n", b"\n", 1)), REFUSED),
    "bare LF after a chunk": (post(CHUNKED, body=b"1\r\nx\n0\r\n\r\n"), REFUSED),
    "chunk size of letters": (post(CHUNKED, body=b"zz\r\n\r\n0\r\n\r\n"), REFUSED),
    "chunk longer than its size": (post(CHUNKED, body=b"3\r\nabcd\r\n0\r\n\r\n"), REFUSED),
    "chunk size past any number": (post(CHUNKED, body=b"f" * 17 + b"\r\n"), REFUSED),
}

ROWS = {**TARGETS, **LINES, **METHODS, **HEADERS, **BODIES}


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def server(request):
    with serving("--workers", "1", "--http-server", request.param) as server:
        yield server


def outcomes(said):
    """Of each response but interim ones: the problem's code, else the status."""
    found = []
    for response in re.split(rb"(?=HTTP/1\.1 [2-5])", said)[1:]:
        code = re.search(rb'"code":"(\w+)"', response)
        found.append(code[1].decode() if code else response[9:12].decode())
    return found


async def said_to(server, raw):
    """All that is answered to these bytes and a canary behind them."""
    client = await server.connect()
    client.writer.write(raw + CANARY)
    said = b""
    async with asyncio.timeout(20):
        while b'"alive"' not in said.rpartition(b"HTTP/1.1 ")[2] or outcomes(said) == ["200"]:
            if not (more := await client.reader.read(65536)):
                break
            said += more
    return said


@pytest.mark.parametrize("name", ROWS)
def test_unusual_request_has_its_outcome(server, name):
    """The one that the table says, whichever server parses it."""
    raw, expected = ROWS[name]

    assert expected == outcomes(server.run(said_to(server, raw)))


def test_refusals_are_problem_documents_counted_by_code(server):
    """With the request's own id, where it has a sane one, in the document and in the head."""

    async def run():
        before = await server.metrics()
        client = await server.connect()
        client.writer.write(b"GET /healthz HTTP/1.1\r\nX-Request-ID: mine\r\nHost : t\r\n\r\n")
        return before, await client.read(), await server.metrics()

    before, reply, after = server.run(run())
    series = 'tureen_requests_total{outcome="malformed_request",resource="health"}'

    assert ("application/problem+json", "close", "mine") == tuple(
        reply.headers[name] for name in ("content-type", "connection", "x-request-id")
    )
    assert {"type", "title", "status", "code", "request_id"} == json.loads(reply.body).keys()
    assert "mine" == reply.json()["request_id"]
    assert 1.0 == after[series] - before.get(series, 0.0)


@pytest.mark.parametrize("name", ["chunks", "trailer", "folded header", "offer of h2c", "empty line behind a body"])
def test_outcome_does_not_depend_on_how_the_bytes_are_cut(server, name):
    """Byte by byte for the head and for the end of it, as in one piece."""
    raw, expected = ROWS[name]

    async def run():
        client = await server.connect()
        for n in range(len(raw)):
            client.writer.write(raw[n : n + 1])
            if n < 200 or n > len(raw) - 30:
                await client.writer.drain()
                await asyncio.sleep(0)
        client.writer.write(CANARY)
        said = b""
        while len(outcomes(said)) < len(expected):
            said += await client.reader.read(65536)
        return said

    assert expected == outcomes(server.run(run()))
