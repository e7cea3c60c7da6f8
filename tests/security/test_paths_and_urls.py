"""Names that are paths, and URLs that a client sends: no file is read, no version found, no connection made by them."""

import asyncio
import json
import socket
from urllib.parse import quote

import pytest

from server.access.errors import FetchFailed
from server.access.fetch import fetch_json
from tests import models
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.security.issuer import AUDIENCE, issuing
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
CANARY = "c4n4ry"
TRICKS = (
    "../outside", "..", ".", "../../outside/1", "food/../../outside", "/etc/passwd", "..\\outside", "food\0", "food\n",
    "....//outside", "~root", "file:///etc/passwd", "food/1/../../../secret", "x" * 5000, "%2e%2e/outside",
)  # fmt: skip
PLACES = (
    "POST /v1/images?model={}", "POST /v1/images?model=food&version={}", "POST /v1/models/{}/images",
    "POST /v1/models/food/versions/{}/images", "GET /v2/models/{}", "GET /v2/models/{}/config",
    "GET /v2/models/{}/stats", "POST /v2/models/{}/infer", "GET /v2/models/food/versions/{}",
    "POST /v2/repository/models/{}/load",
    "GET /v1/models/{}", "PUT /v1/images/{}", "GET /v1/images/{}", "GET /v1/images/{}/original", "DELETE /v1/images/{}",
    "GET /v1/images?hash={}", "GET /page/{}",
)  # fmt: skip


@pytest.fixture(scope="module")
def listener():
    """Give a port that nobody should connect to."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def connections(listener):
    """Give how many have connected since the last look."""
    count = 0
    try:
        while True:
            listener.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server of one model with a store; beside both lies what is nobody's business. The key of an admin, the issuer,
    and the files that there were."""
    folder = tmp_path_factory.mktemp("paths")
    for name in ("models/food", "outside"):
        models.dense(folder / name / "1" / "model.onnx")
    (folder / "secret").write_text(CANARY)
    admin = add_key(folder / "keys.json", "admin", "admin")
    with issuing() as issuer:
        flags = ["--models", str(folder / "models"), "--store", str(folder / "store"), "--records", "open"]
        flags += ["--keys", str(folder / "keys.json"), "--jwt-issuer", issuer.url, "--jwt-audience", AUDIENCE]
        with serving(*flags, "--workers", "1", admin=admin) as server:
            yield server, admin, issuer, folder


def outside(folder):
    """Give the files that are neither the model's nor the store's."""
    return {path for path in folder.rglob("*") if not path.is_relative_to(folder / "store")}


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_is_a_path_leads_nowhere(world, place):
    """Not even for an admin, however it is written: it is refused, and nothing outside is read, served or written."""
    server, admin, _, folder = world
    method, _, path = place.partition(" ")
    before = outside(folder)
    names = [*TRICKS, *(quote(trick, safe="") for trick in TRICKS)]

    async def ask(name):
        client = await server.connect()
        written = quote(name, safe="/%.~:\\\\")
        target = path.format(written)
        return await client.request(method, target, PHOTO if method in ("POST", "PUT") else b"", **bearer(admin))

    async def work():
        return {name[:40]: await ask(name) for name in names}

    replies = server.run(work())

    allowed = {204} if method == "DELETE" else set()  # whatever is not there
    odd = {name: reply.status for name, reply in replies.items() if not 400 <= reply.status < 500}
    assert {} == {name: status for name, status in odd.items() if status not in allowed}
    assert not any(word in reply.body for reply in replies.values() for word in (CANARY.encode(), b"root:"))
    assert before == outside(folder)


def test_no_url_of_a_client_is_fetched(world, listener):
    """In a token's header and claims, as an image, as a model, as a webhook; there are no webhooks here."""
    server, admin, issuer, _ = world
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    headers = {"jku": url, "x5u": url, "kid": url}
    tokens = [issuer.token(headers={name: url}) for name in headers]
    tokens += [issuer.token(iss=url), issuer.token(iss=url, headers=headers)]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [url]}
    asked = [
        ("/v1/images", {"image": url}, {}),
        ("/v1/images", {"image": f"data:text/uri-list,{url}"}, {}),
        ("/v1/images", {"url": url, "image_url": url}, {}),
        ("/v1/images:batch", {"images": [url]}, {}),
        (f"/v1/images?model={quote(url, safe='')}", {"image": url}, {}),
        (f"/v2/repository/models/{quote(url, safe='')}/load", {"parameters": {"config": url}}, {}),
        ("/v2/models/food/infer", {"inputs": [tensor]}, {}),
    ]

    async def work():
        statuses = []
        for token in tokens:
            client = await server.connect()
            statuses.append((await client.post(PHOTO, **bearer(token))).status)
        for path, document, more in asked:
            client = await server.connect()
            sent = {"content_type": "application/json", **more, **bearer(admin)}
            reply = await client.request("POST", path, json.dumps(document).encode(), **sent)
            statuses.append(reply.status)
        client = await server.connect()
        hooks = {"prefer": f'respond-async; callback="{url}"', "callback_url": url, "x_webhook_url": url, "origin": url}
        await client.post(PHOTO, **hooks, **bearer(admin))
        return statuses

    statuses = server.run(work())

    assert 0 == connections(listener)
    assert {401} == set(statuses[2:5])  # of an unknown kid, and of another issuer
    assert not any(status >= 500 for status in statuses)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_issuer_cannot_redirect(listener, status):
    """Whoever can redirect could point to any host of the operator's network."""
    target = f"http://127.0.0.1:{listener.getsockname()[1]}/"

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} x\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def work():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as issuer:
            port = issuer.sockets[0].getsockname()[1]
            with pytest.raises(FetchFailed, match=str(status)):
                await asyncio.to_thread(fetch_json, f"http://127.0.0.1:{port}/jwks")

    asyncio.run(work())

    assert 0 == connections(listener)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "ftp://127.0.0.1/", "http://user@127.0.0.1/",
        "https://user:pass@issuer.example/", "http://127.0.0.1.evil.example/", "http://[::ffff:169.254.169.254]/",
        "gopher://127.0.0.1/", "//127.0.0.1/", "http://2852039166/", "",
    ],
)  # fmt: skip
def test_keys_are_fetched_over_https_or_from_loopback_only(url):
    """Also where the issuer's own document names them."""
    with pytest.raises(FetchFailed):
        fetch_json(url)
