"""HTTP events to requests and back, without a function."""

import base64

import pytest

from server.aws_lambda.asgi import within
from server.aws_lambda.http_event import HttpResponse, NotHttp, is_http, plain_path, read_request, write_response
from server.aws_lambda.messages import failures
from tests.server.aws_lambda import events

SHAPES = (events.url, events.stage, events.rest, events.alb, events.alb_multi)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_the_same_request(shape):
    """Method, path without a stage, query, headers in lower case, decoded body, and the client that the sender saw."""
    request = read_request(shape("POST", "/v1/images", b"\xff\xd8", [("X-Two", "a, b")], "model=food&version=3"))

    assert ("POST", b"/v1/images", b"model=food&version=3") == (request.method, request.path, request.query)
    assert (b"\xff\xd8", events.CLIENT) == (request.body, request.client)
    assert {(b"x-two", b"a, b"), (b"content-length", b"2")} <= {*request.headers}


def test_text_body_and_no_body():
    """What is not base64 is text; nothing at all is no body, without a length."""
    text = read_request(events.rest("POST", "/v1/images") | {"body": "é", "isBase64Encoded": False})
    none = read_request(events.url("GET", "/readyz"))

    assert ("é".encode(), b"") == (text.body, none.body)
    assert b"content-length" not in dict(none.headers)


def test_length_and_transfer_of_the_sender_are_replaced():
    """They were those of the body on its way to the sender."""
    given = [("Content-Length", "9"), ("Transfer-Encoding", "chunked")]
    headers = read_request(events.url("POST", "/v1/images", b"abc", given)).headers

    assert [(b"content-length", b"3")] == headers


def test_path_stays_encoded_once():
    """A REST API hands its path on decoded, others as it came."""
    encoded = read_request(events.url("GET", "/v1/models/a%20b")).path
    decoded = read_request(events.rest("GET", "/v1/models/a b")).path

    assert (b"/v1/models/a%20b",) * 2 == (encoded, decoded)
    assert "/v1/models/a b" == plain_path(encoded)


@pytest.mark.parametrize("broken", [{"body": "#"}, {"rawPath": None}, {"requestContext": {"http": {}}}])
def test_broken_event_is_named(broken):
    """With what is wrong with it."""
    with pytest.raises(NotHttp):
        read_request(events.url("POST", "/v1/images", b"x") | broken)


@pytest.mark.parametrize("other", [{}, {"Records": []}, events.batch("x"), {"requestContext": None}])
def test_other_events_are_not_http(other):
    """They go the way of messages."""
    assert not is_http(other)


def test_response_has_its_headers_as_its_sender_takes_them():
    """Once each, or as lists; cookies apart in format 2.0."""
    headers = [(b"content-type", b"application/json"), (b"vary", b"a"), (b"vary", b"b"), (b"set-cookie", b"c=1")]
    response = HttpResponse(200, headers, b"{}")
    plain, many = write_response("v2", response), write_response("v1", response)

    assert ("{}", False, ["c=1"]) == (plain["body"], plain["isBase64Encoded"], plain["cookies"])
    assert {"content-type": "application/json", "vary": "a, b"} == plain["headers"]
    assert ["a", "b"] == many["multiValueHeaders"]["vary"]


@pytest.mark.parametrize(("kind", "body"), [(b"image/jpeg", b"\xff\xd8"), (b"text/plain", b"\xff")])
def test_response_that_is_no_text_is_base64(kind, body):
    """Also one that says that it is text, and is not."""
    told = write_response("alb", HttpResponse(200, [(b"content-type", kind)], body))

    assert (True, body) == (told["isBase64Encoded"], base64.b64decode(told["body"]))


@pytest.mark.parametrize(
    ("given", "left_s", "told"),
    [
        (None, 2.0, None),  # the SLO of 1 s is sooner
        (None, 0.5, b"500"),
        (b"300", 0.5, b"300"),
        (b"700", 0.5, b"500"),
        (b"300", -1.0, b"1"),
        (b"soon", 0.5, b"soon"),  # for the application to refuse
    ],
)
def test_time_that_is_left_is_the_deadline(given, left_s, told):
    """Unless the client's own, or the SLO, is sooner."""
    headers = [] if given is None else [(b"x-request-timeout-ms", given)]

    assert told == dict(within(headers, left_s, 1.0)).get(b"x-request-timeout-ms")


def test_failed_messages_of_a_standard_queue_are_named_alone():
    """The others are deleted by Lambda."""
    assert ["1"] == failures(events.batch("a", "b", "c")["Records"], {"0", "2"})


def test_failed_message_of_a_fifo_queue_holds_up_its_group():
    """Or its successors would overtake it."""
    records = [*events.batch("a", "b", "c", group="x")["Records"], *events.batch("d", group="y")["Records"]]
    records[3]["messageId"] = "3"

    assert ["1", "2"] == failures(records, {"0", "2", "3"})
