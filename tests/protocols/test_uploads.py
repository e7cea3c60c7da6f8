"""Ways to send images beside the plain upload, and what browsers ask: over sockets, on both HTTP servers."""

import asyncio
import base64
import json
import re
import secrets
import time

import pytest

from server import demo as demo_model
from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.models import dense
from tests.photos import photo
from tests.protocols.test_rest import send
from tests.reference import Reference

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
PAGE = "https://example.com"


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def server(request, tmp_path_factory):
    """A server that keeps images, and lets in the pages of one origin. Gives it and its store."""
    store = tmp_path_factory.mktemp("store")
    flags = ("--workers", "1", "--http-server", request.param, "--store", str(store), "--records", "open")
    with serving(*flags, "--cors-origins", PAGE, "--slo", "5s") as running:
        running.store = store
        yield running


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A server that runs one image at a time, slowly, and lets in the pages of all origins."""
    path = dense(tmp_path_factory.mktemp("slow") / "slow.onnx", size=32, hidden=(4096, 4096))
    flags = ("--workers", "1", "--max-batch", "1", "--max-queue", "64", "--cors-origins", "*", "--slo", "30s")
    with serving(str(path), *flags) as running:
        yield running


def uuid7():
    """Give an id as a client makes it."""
    digits = f"{time.time_ns() // 1_000_000:012x}7{secrets.token_hex(2)[:3]}8{secrets.token_hex(8)[:15]}"
    return re.sub("(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", digits)


def form(*images):
    """Give the body of a form with images, and its type."""
    parts = [b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + one for one in images]
    return b"\r\n".join([*parts, b"--b--\r\n"]), "multipart/form-data; boundary=b"


async def lines(client):
    """Give the lines of a response as they come, each a document."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert b"application/x-ndjson" in head
    while size := int(await client.reader.readline(), 16):
        data = (await client.reader.readexactly(size + 2))[:-2]
        for line in data.splitlines():
            yield json.loads(line)
    await client.reader.readexactly(2)


# ---- Base64 ----


@pytest.mark.parametrize("begin", ["", "data:image/jpeg;base64,"], ids=["base64", "data URL"])
def test_an_image_in_json_is_answered(server, begin):
    """As the same bytes in the body."""
    body = json.dumps({"image": begin + base64.b64encode(PHOTO).decode()}).encode()

    reply = send(server, "POST", "/v1/images", body, content_type="application/json")

    assert Reference(demo_model.FOLDER).agrees(PHOTO, reply.json())


def test_lines_that_a_tool_broke_are_base64(server):
    """As `base64 photo.jpg` prints them."""
    body = json.dumps({"image": base64.encodebytes(PHOTO).decode()}).encode()

    assert 200 == send(server, "POST", "/v1/images", body, content_type="application/json").status


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"\xff", b'{"image": 1}', b'{"image": "%"}', b'{"image": "data:,x"}'])
def test_what_is_no_image_in_json_is_refused(server, body):
    """With a code of its own."""
    reply = send(server, "POST", "/v1/images", body, content_type="application/json")

    assert (400, "bad_json") == (reply.status, reply.json()["code"])


# ---- Once, however often ----


def test_an_image_put_twice_is_one_record(server):
    """Both answers are the same, and the store has it once."""
    id_, image = uuid7(), photo(31)

    async def work():
        client = await server.connect()
        replies = [await client.request("PUT", f"/v1/images/{id_}", image) for _ in range(2)]
        while (await client.request("GET", f"/v1/images/{id_}")).status != 200:
            pass
        return replies

    first, second = server.run(work())

    assert (200, 200, id_) == (first.status, second.status, first.json()["id"])
    assert first.body == second.body
    assert 1 == len(list(server.store.glob(f"2*/{id_}.json")))


def test_another_image_under_the_same_id_is_refused(server):
    """Whether the first one is still remembered or only stored."""
    id_ = uuid7()
    send(server, "PUT", f"/v1/images/{id_}", photo(32))

    reply = send(server, "PUT", f"/v1/images/{id_}", photo(33))

    assert (409, "id_taken") == (reply.status, reply.json()["code"])


def test_an_image_is_known_when_its_web_process_has_died(server):
    """By its record: it is answered as before, without being run, and its id is taken."""
    id_, image = uuid7(), photo(34)

    async def work():
        client = await server.connect()
        first = await client.request("PUT", f"/v1/images/{id_}", image)
        while (await client.request("GET", f"/v1/images/{id_}")).status != 200:
            pass
        web = server.web
        web.kill()
        web.wait()
        client = await server.connect()
        while (second := await client.request("PUT", f"/v1/images/{id_}", image)).status == 503:
            pass
        return first.json(), second.json(), await client.request("PUT", f"/v1/images/{id_}", photo(35))

    first, second, taken = server.run(work())

    assert {name: second[name] for name in ("id", "hash", "predictions")} == {
        name: first[name] for name in ("id", "hash", "predictions")
    }
    assert (0, True) == (second["batch"], second["cached"])
    assert (409, "id_taken") == (taken.status, taken.json()["code"])


@pytest.mark.parametrize("id_", ["x", "ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000"])
def test_an_id_must_be_of_now(server, id_):
    """Its time is where a record is found again."""
    reply = send(server, "PUT", f"/v1/images/{id_}", PHOTO)

    assert (400, "bad_image_id") == (reply.status, reply.json()["code"])


# ---- Several ----


@pytest.mark.parametrize("kind", ["form", "JSON"])
def test_each_image_of_a_batch_has_its_own_status(server, kind):
    """In lines, by its index: an answer, or the problem that it would have had alone."""
    images = [photo(40), b"no image", photo(41)]
    body, content_type = form(*images)
    if kind == "JSON":
        body = json.dumps({"images": [base64.b64encode(image).decode() for image in images]}).encode()
        content_type = "application/json"

    async def work():
        client = await server.connect()
        await client.send("POST", "/v1/images:batch", body, content_type=content_type)
        found = [line async for line in lines(client)]
        await client.request("GET", "/healthz")  # the connection is still good
        return found

    found = {line["index"]: line for line in server.run(work())}

    assert {0: 200, 1: 415, 2: 200} == {index: line["status"] for index, line in found.items()}
    assert "not_an_image" == found[1]["code"]
    assert all(Reference(demo_model.FOLDER).agrees(images[index], found[index]) for index in (0, 2))


def test_the_first_line_comes_before_the_last_image_runs(slow):
    """On a server that runs one image at a time, while others still wait."""
    body, content_type = form(*(photo(number) for number in range(60)))

    async def work(server):
        client, observer = await server.connect(), await server.connect()
        await client.send("POST", "/v1/images:batch", body, content_type=content_type, cache_control="no-store")
        found, waiting = [], 0
        async for line in lines(client):
            if not found:
                text = (await observer.request("GET", "/metrics")).body.decode()
                waiting = float(re.search(r"^tureen_queue_images (\S+)$", text, re.MULTILINE)[1])
            found.append(line)
        return found, waiting

    found, waiting = slow.run(work(slow))

    assert [200] * 60 == [line["status"] for line in found]
    assert waiting


def test_a_batch_whose_client_leaves_is_taken_back(server):
    """Its images leave the queue, and the server serves on."""

    async def work():
        body, content_type = form(*(photo(number) for number in range(100, 130)))
        client = await server.connect()
        await client.send("POST", "/v1/images:batch", body, content_type=content_type, cache_control="no-store")
        await client.close()
        while (await server.metrics())["tureen_held_bytes"]:
            pass
        return await (await server.connect()).post(PHOTO)

    assert 200 == server.run(work()).status


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", "multipart/form-data; boundary=b", "bad_multipart"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", "image_part_missing"),
        (b'{"images": []}', "application/json", "bad_json"),
        (PHOTO, "image/jpeg", "bad_multipart"),
        (json.dumps({"images": ["AAAA"] * 257}).encode(), "application/json", "bad_json"),
    ],
)
def test_what_is_no_batch_is_refused(server, body, content_type, code):
    """Before anything of it is run."""
    reply = send(server, "POST", "/v1/images:batch", body, content_type=content_type)

    assert (400, code) == (reply.status, reply.json()["code"])


# ---- Later ----


def test_an_answer_can_be_fetched_later(server):
    """202 with where to look; 202 there until the record is there, then 200."""
    image = photo(50)

    async def work():
        client = await server.connect()
        accepted = await client.request("POST", "/v1/images", image, prefer="respond-async")
        while (record := await client.request("GET", accepted.headers["location"])).status == 202:
            assert "retry-after" in record.headers
        return accepted, record

    accepted, record = server.run(work())

    assert (202, "respond-async") == (accepted.status, accepted.headers["preference-applied"])
    assert accepted.json()["id"] == record.json()["id"]
    assert Reference(demo_model.FOLDER).agrees(image, record.json()["answer"])


def test_a_failure_can_be_fetched_later(server):
    """An image that turns out to be damaged once its client has gone."""
    image = photo(51)
    damaged = image[: len(image) // 2]

    async def work():
        client = await server.connect()
        accepted = await client.request("POST", "/v1/images", damaged, prefer="respond-async")
        while (record := await client.request("GET", accepted.headers["location"])).status == 202:
            pass
        return record

    record = server.run(work())

    assert (422, "image_truncated") == (record.status, record.json()["code"])


# ---- Browsers ----


def test_a_page_of_a_known_origin_may_ask(server):
    """The question before a request, and every answer, name the origin."""
    headers = {"origin": PAGE, "access_control_request_method": "POST"}

    asked = send(server, "OPTIONS", "/v1/images", access_control_request_headers="x-request-timeout-ms", **headers)
    answered = send(server, "POST", "/v1/images", PHOTO, origin=PAGE)
    refused = send(server, "POST", "/v1/images", b"no image", origin=PAGE)

    assert (204, PAGE) == (asked.status, asked.headers["access-control-allow-origin"])
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "x-request-timeout-ms" in asked.headers["access-control-allow-headers"]
    assert {PAGE} == {one.headers["access-control-allow-origin"] for one in (answered, refused)}
    assert "retry-after" in answered.headers["access-control-expose-headers"]


def test_a_page_of_another_origin_may_not(server):
    """It is told nothing that lets it read an answer; caches are told to keep the two apart."""
    asked = send(server, "OPTIONS", "/v1/images", origin="https://evil.example", access_control_request_method="POST")
    answered = send(server, "POST", "/v1/images", PHOTO, origin="https://evil.example")

    for reply in (asked, answered):
        assert "access-control-allow-origin" not in reply.headers
        assert "origin" == reply.headers["vary"]
    assert "access-control-allow-methods" not in asked.headers


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/images", "GET, HEAD, OPTIONS, POST"),
        ("/v1/images:batch", "OPTIONS, POST"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/v2/models/colourfulness/infer", "OPTIONS, POST"),
    ],
)
def test_a_path_tells_its_methods(server, path, methods):
    """By OPTIONS, and where another one is tried."""
    assert methods == send(server, "OPTIONS", path).headers["allow"]
    assert (405, methods) == ((reply := send(server, "PATCH", path)).status, reply.headers["allow"])


@pytest.mark.parametrize("path", ["/healthz", "/", "/v2/models/colourfulness"])
def test_head_is_get_without_its_body(server, path):
    """With the length that the body would have; the connection goes on."""

    async def work():
        client = await server.connect()
        whole = await client.request("GET", path)
        await client.send("HEAD", path)
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        return whole, head, await client.request("GET", path)

    whole, head, after = server.run(work())

    assert "200" == head.split()[1]
    assert f"content-length: {len(whole.body)}" in head.lower()
    assert 200 == after.status


def test_a_full_server_tells_pages_too(slow):
    """Refusals of uploads that are not parsed would have no such headers, so a page's upload is."""

    async def work():
        clients = [await slow.connect() for _ in range(100)]
        replies = []
        for _ in range(2):
            replies += await asyncio.gather(*(client.post(PHOTO, origin=PAGE) for client in clients))
        return replies

    replies = slow.run(work())

    assert {200, 503} == {reply.status for reply in replies}
    assert {"*"} == {reply.headers.get("access-control-allow-origin") for reply in replies}
