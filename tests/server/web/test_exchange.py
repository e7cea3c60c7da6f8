"""What an exchange sends for a response, as ASGI messages: whole, or part by part."""

import asyncio

from starlette.responses import StreamingResponse

from server.process.access_log import AccessLog
from server.web.client import TrustedProxies
from server.web.exchange import Exchange
from server.web.gate import Gate
from server.web.metrics import Metrics
from server.web.observer import Observer
from server.web.presence import STATE, Presence
from server.web.runtime import Runtime
from server.web.uploads import BodyLimits, Uploads
from tests.fakes_source import EmptySource

GET = {
    "type": "http",
    "method": "GET",
    "path": "/parts",
    "raw_path": b"/parts",
    "query_string": b"",
    "http_version": "1.1",
    "headers": [(b"host", b"test")],
}


async def exchange(handler, send, presence):
    """Have `handler` answer one request."""
    source = EmptySource()
    limits = Uploads(BodyLimits(1000, 10.0, 1.0))
    runtime, proxies = Runtime(None, source.connections), TrustedProxies("")
    observer = Observer(Metrics(source), AccessLog(False))
    app = Exchange(handler, Gate(None), runtime, observer, limits, lambda: None, proxies)
    never = asyncio.get_running_loop().create_future()
    await app(GET | {"state": {STATE: presence}}, lambda: never, send)


def test_parts_are_sent_as_they_come():
    """The first is out before the second is made; the head stands before them, with the request's id."""
    sent, seen = [], []

    async def send(message):
        sent.append(message)

    async def parts():
        yield b"one"
        seen.append([message.get("body") for message in sent])
        yield "two"

    async def handler(request):
        return StreamingResponse(parts(), media_type="text/plain")

    asyncio.run(exchange(handler, send, Presence()))

    assert [[None, b"one"]] == seen
    assert ["http.response.start", *["http.response.body"] * 3] == [message["type"] for message in sent]
    assert [(b"one", True), (b"two", True), (b"", False)] == [
        (message["body"], message.get("more_body", False)) for message in sent[1:]
    ]
    assert b"x-request-id" in dict(sent[0]["headers"])
    assert b"content-length" not in dict(sent[0]["headers"])


def test_a_stream_ends_when_its_client_leaves():
    """Wherever it waits: what makes the parts is closed, and nothing more is sent."""
    sent, closed, presence = [], [], Presence()

    async def send(message):
        sent.append(message)

    async def parts():
        try:
            yield b"one"
            presence.left()
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append(True)

    async def handler(request):
        return StreamingResponse(parts())

    asyncio.run(exchange(handler, send, presence))

    assert [True] == closed
    assert b"one" == sent[-1]["body"]
