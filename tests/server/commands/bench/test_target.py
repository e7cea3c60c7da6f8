"""URLs, headers and requests are what is sent, byte for byte."""

import io

import h11
import pytest

from server.commands.bench.target import Target, parse_header, parse_url, request
from server.web.multipart import image_in

HERE = Target("127.0.0.1", 8080, "/v1/images", False)


@pytest.mark.parametrize(
    ("text", "target", "url"),
    [
        ("http://127.0.0.1:8080", HERE, "http://127.0.0.1:8080/v1/images"),
        ("127.0.0.1:8080/", HERE, "http://127.0.0.1:8080/v1/images"),
        ("https://a.example/x?y=z", Target("a.example", 443, "/x?y=z", True), "https://a.example/x?y=z"),
        ("http://[::1]:81/p", Target("::1", 81, "/p", False), "http://[::1]:81/p"),
    ],
)
def test_urls(text, target, url):
    """Without a path it is Tureen's."""
    assert (target, url) == (parse_url(text), target.url)


@pytest.mark.parametrize(
    "text", ["ftp://x", "http://", "http://u:p@x/", "http://x/a b", "http://x/ü", "http://x:99999"]
)
def test_what_is_no_url(text):
    """Said before anything is sent."""
    with pytest.raises(ValueError, match=r"."):
        parse_url(text)


def test_headers():
    """With or without blanks."""
    assert [("A-b", "c: d"), ("X", "")] == [parse_header("A-b:  c: d "), parse_header("X:")]


@pytest.mark.parametrize("text", ["A", ": b", "A b: c", "A: b\r\nC: d", "Content-Length: 1", "connection: close"])
def test_what_is_no_header(text):
    """Nor one that is not the user's to set."""
    with pytest.raises(ValueError, match=r"."):
        parse_header(text)


def parsed(data):
    """The request as another library reads it: target, headers, body."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    head, body = connection.next_event(), b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head.target, {name: value for name, value in head.headers}, body


def test_a_raw_request():
    """The picture is the body; the user's headers replace ours."""
    target, headers, body = parsed(request(HERE, "a.PNG", b"pixels", [("X", "1"), ("Host", "other")], False))

    assert (b"/v1/images", b"pixels") == (target, body)
    assert {
        b"host": b"other",
        b"content-type": b"image/png",
        b"x": b"1",
        b"content-length": b"6",
        b"cache-control": b"no-store",
    } == headers


def test_a_form_is_one_that_our_server_reads():
    """However the file is called."""
    _, headers, body = parsed(request(HERE, 'süp "x".jpg', b"\r\n--pixels--", [], True))
    reader = image_in(headers[b"content-type"].decode())
    stream = io.BytesIO(body)
    while piece := stream.read(7):
        reader.feed(piece)

    assert b"\r\n--pixels--" == bytes(reader.finish())
