"""What a client sees of a server that is well."""

import asyncio
import re
from collections import Counter

import pytest

from server import demo as demo_model
from tests.end_to_end.harness import serving
from tests.models import dense
from tests.photos import photo
from tests.reference import Reference

pytestmark = pytest.mark.timeout(180)

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def demo():
    with serving("--workers", "1") as server:
        yield server


def exchange(server, *requests):
    """Send requests over one connection; each is (method, path, body, headers)."""

    async def run():
        client = await server.connect()
        replies = [await client.request(*one[:3], **(one[3] if len(one) > 3 else {})) for one in requests]
        await client.close()
        return replies

    return server.run(run())


PHOTO = photo(1)


def post(server, image=PHOTO, **headers):
    return exchange(server, ("POST", "/v1/images", image, headers))[0]


def test_answer_has_every_member(demo):
    """A 200 names the image, the model, its predictions, score, tip, timing and batch."""
    reply = post(demo)

    answer = reply.json()
    assert (200, "application/json") == (reply.status, reply.headers["content-type"])
    assert {"id", "hash", "model", "predictions", "score", "tip", "timing", "batch"} == answer.keys()
    assert UUID7.fullmatch(answer["id"])
    assert re.fullmatch("[0-9a-f]{32}", answer["hash"])
    assert {"name": "colourfulness", "version": "1"} == answer["model"]
    assert {"upload", "queue", "decode", "infer", "total"} == answer["timing"].keys()
    assert all(value >= 0 for value in answer["timing"].values())
    assert 1 == answer["batch"]


def test_predictions_are_the_models_best_first(demo):
    """The demo model's answer is what its graph gives for this image alone."""
    image = photo(2)

    answer = post(demo, image).json()

    assert Reference(demo_model.FOLDER).agrees(image, answer)


def test_png_is_answered_like_jpeg(demo):
    """Content decides the format, not the declared type."""
    reply = post(demo, photo(3, form="PNG"), content_type="text/plain")

    assert 200 == reply.status


def test_form_is_answered_like_a_raw_body(demo):
    """What a browser or `curl -F` sends: one part named image, whatever its file is called."""
    image = photo(5)
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="../x"\r\n\r\n' + image + b"\r\n--b--\r\n"

    reply = post(demo, form, content_type="multipart/form-data; boundary=b")

    assert post(demo, image).json()["hash"] == reply.json()["hash"]


def test_server_timing_repeats_the_timing(demo):
    """Server-Timing carries the same milliseconds as the body, for a browser's developer tools."""
    reply = post(demo)

    timing = reply.json()["timing"]
    assert ", ".join(f"{name};dur={ms:.3f}" for name, ms in timing.items()) == reply.headers["server-timing"]


def test_sane_request_id_is_echoed_and_others_are_replaced(demo):
    """An id that could forge a log line is not ours to repeat."""
    replies = [post(demo, x_request_id=given) for given in ("abc-123", "a b", "x" * 129)]

    assert "abc-123" == replies[0].headers["x-request-id"]
    assert all(UUID7.fullmatch(reply.headers["x-request-id"]) for reply in replies[1:])


def test_same_bytes_same_hash_other_id(demo):
    """The hash names the content, the id the upload."""
    first, second = (post(demo, photo(4)).json() for _ in range(2))

    assert first["hash"] == second["hash"]
    assert first["id"] != second["id"]


def test_health_readiness_and_about(demo):
    """The endpoints a load balancer and a person look at first."""
    alive, ready, about = exchange(demo, ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/"))

    assert (200, {"status": "alive"}) == (alive.status, alive.json())
    assert (200, {"status": "ready"}) == (ready.status, ready.json())
    assert "tureen" == about.json()["name"]
    assert "colourfulness" == about.json()["model"]["name"]


def test_metrics_count_what_happened(demo):
    """One answered image moves every histogram by one, and the outcome's counter."""
    before = demo.run(demo.metrics())
    post(demo)
    after = demo.run(demo.metrics())

    moved = {name for name in after if after[name] == before.get(name, 0.0) + 1}
    stages = ("queue_delay_seconds", "decode_seconds", "inference_seconds", "request_seconds", "batch_size")
    counts = {name.partition("{")[0] for name in moved if 'model="colourfulness"' in name}
    assert {f"tureen_{stage}_count" for stage in stages} <= counts
    assert 'tureen_requests_total{outcome="ok",resource="images"}' in after
    assert 1.0 == after["tureen_workers_ready"]
    assert 0.0 == after["tureen_queue_images"] == after["tureen_held_bytes"]


def test_many_images_from_64_connections_each_get_their_own_answer(tmp_path):
    """Batches mix strangers' images; no answer may reach the wrong one, or differ from the image's alone."""
    model = dense(tmp_path / "wide.onnx", size=32, hidden=(4096, 2048))
    images = [photo(seed, 40, 30) for seed in range(300)]

    with serving("--workers", "1", "--model", str(model), "--slo", "60s") as server:
        answers = server.run(post_all(server, images, connections=64))

    reference = Reference(model)
    assert Counter({200: 300}) == Counter(reply.status for reply in answers)
    wrong = [n for n, reply in enumerate(answers) if not reference.agrees(images[n], reply.json())]
    assert [] == wrong
    assert max(reply.json()["batch"] for reply in answers) > 1


async def post_all(server, images, connections):
    """Every image once, from so many connections; the replies in the images' order."""
    replies = [None] * len(images)
    todo = iter(range(len(images)))

    async def work():
        client = await server.connect()
        for n in todo:
            replies[n] = await client.post(images[n])
        await client.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return replies
