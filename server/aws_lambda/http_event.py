"""HTTP as Lambda events carry it, to and from a request and a response. Pure.

| sender | event | response |
|---|---|---|
| function URL, API Gateway v2 | `version` "2.0"; header values joined by commas; cookies apart | `headers`, `cookies` |
| API Gateway v1 | `httpMethod`, `multiValueHeaders`; query decoded | `multiValueHeaders` |
| ALB | `requestContext.elb`; headers single, or multi as its target group says; query as sent | as the event |
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlencode

Event = Mapping[str, Any]
Headers = list[tuple[bytes, bytes]]
Shape = Literal["v1", "v2", "alb", "alb-multi"]

_TEXT = (b"text/", b"application/json", b"application/problem+json", b"application/javascript", b"image/svg+xml")


class NotHttp(ValueError):
    """The event carries no HTTP request, or a broken one; the message says why."""


class HttpRequest(NamedTuple):
    """`path` as in the URL, percent-encoded; `client`: the address of whoever asks, "" if unknown."""

    shape: Shape
    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: bytes
    client: str


class HttpResponse(NamedTuple):
    """A whole response. Header names are in lower case."""

    status: int
    headers: Headers
    body: bytes


def is_http(event: Event) -> bool:
    """Whether an event carries an HTTP request."""
    context = event.get("requestContext")
    return isinstance(context, Mapping) and ("http" in context or "httpMethod" in event)


def read_request(event: Event) -> HttpRequest:
    """The request in an event of any of the three senders. Raises `NotHttp`."""
    try:
        return _read_v2(event) if "http" in event["requestContext"] else _read_v1(event)
    except (KeyError, TypeError, AttributeError) as error:
        raise NotHttp(f"the event lacks or mistypes {error}") from None


def write_response(shape: Shape, response: HttpResponse) -> dict[str, Any]:
    """The response as the sender takes it. What is not known to be text is sent as base64."""
    kind = next((value for name, value in response.headers if name == b"content-type"), b"")
    text = _text(response.body) if kind.startswith(_TEXT) else None
    told: dict[str, Any] = {
        "statusCode": response.status,
        "isBase64Encoded": text is None,
        "body": base64.b64encode(response.body).decode() if text is None else text,
    }
    pairs = [(name.decode("latin1"), value.decode("latin1")) for name, value in response.headers]
    if shape in ("v1", "alb-multi"):
        return told | {"multiValueHeaders": _gathered(pairs)}
    plain = [pair for pair in pairs if pair[0] != "set-cookie"]
    told["headers"] = {name: ", ".join(values) for name, values in _gathered(plain).items()}
    if cookies := [value for name, value in pairs if name == "set-cookie"]:
        told |= {"cookies": cookies} if shape == "v2" else {}
    return told


# -- inside ----------------------------------------------------------------------------------------


def _read_v2(event: Event) -> HttpRequest:
    context = event["requestContext"]
    headers = _headers(event.get("headers", {}).items())
    if cookies := event.get("cookies"):
        headers.append((b"cookie", "; ".join(cookies).encode("latin1")))
    path: str = event["rawPath"]
    stage = context.get("stage", "$default")
    if stage != "$default" and path.startswith(f"/{stage}/"):  # a named stage of API Gateway is in the path
        path = path.removeprefix(f"/{stage}")
    query = event.get("rawQueryString", "").encode()
    http = context["http"]
    return _request("v2", http["method"], path, query, headers, event, http.get("sourceIp", ""))


def _read_v1(event: Event) -> HttpRequest:
    context = event["requestContext"]
    multiple = event.get("multiValueHeaders")
    headers = _headers(_spread(multiple) if multiple else (event.get("headers") or {}).items())
    parameters = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    pairs = list(_spread(parameters))
    if "elb" not in context:
        client = (context.get("identity") or {}).get("sourceIp", "")
        return _request("v1", event["httpMethod"], event["path"], urlencode(pairs).encode(), headers, event, client)
    forwarded = next((value for name, value in headers if name == b"x-forwarded-for"), b"")
    client = forwarded.decode("latin1").rpartition(",")[2].strip()  # ALB appends it; what is before is the client's
    query = "&".join(f"{name}={value}" for name, value in pairs).encode()
    shape: Shape = "alb-multi" if multiple else "alb"
    return _request(shape, event["httpMethod"], event["path"], query, headers, event, client)


def _request(
    shape: Shape, method: str, path: str, query: bytes, headers: Headers, event: Event, client: str
) -> HttpRequest:
    body: str = event.get("body") or ""
    try:
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise NotHttp(f"the body is no base64: {error}") from None
    # The sender has read the body whole: how it came is over, and how long it is, is known.
    kept = [pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding")]
    if data:
        kept.append((b"content-length", str(len(data)).encode()))
    return HttpRequest(shape, method, quote(path, safe="/%:@!$&'()*+,;=~").encode(), query, kept, data, client)


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def plain_path(path: bytes) -> str:
    """A path as ASGI has it, without percent-encoding."""
    return unquote_to_bytes(path).decode("utf-8", "replace")


def _headers(pairs: Iterable[tuple[str, str]]) -> Headers:
    return [(name.lower().encode("latin1"), value.encode("latin1", "replace")) for name, value in pairs]


def _spread(values: Mapping[str, str | Sequence[str]]) -> Iterable[tuple[str, str]]:
    for name, given in values.items():
        for value in (given,) if isinstance(given, str) else given:
            yield name, value


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered
