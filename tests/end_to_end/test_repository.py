"""Several models on one server, and changes of version that no client notices."""

import asyncio
import io
import json
import shutil
import signal
from pathlib import Path

import onnx
import psutil
import pytest
from PIL import Image

from tests import candidates, models
from tests.end_to_end.changes import change_under_load
from tests.end_to_end.harness import Server, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(180)  # a hang guard: each version is a process that loads a model

CARD = """
default = true
default_version = "1"
slo = "30s"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model with a good second version and bad ones, and another model beside it. No version is served before it is
    asked for: the card says which one is the default."""
    folder = tmp_path_factory.mktemp("repository")
    food = folder / "food"
    for version in ("1", "2"):
        models.dense(food / version / "model.onnx")
    models.dense(food / "wrong" / "model.onnx", hidden=(48,))
    models.dense(food / "other-classes" / "model.onnx", classes=12)
    models.broken(food / "broken" / "model.onnx")
    models.dense(food / "other-input" / "model.onnx", size=32)
    _of_the_future(food / "opset" / "model.onnx")
    candidates.not_finite_for_white(food / "nan" / "model.onnx")
    cut = food / "truncated" / "model.onnx"
    cut.parent.mkdir()
    cut.write_bytes((food / "1" / "model.onnx").read_bytes()[:5000])
    (food / "model.toml").write_text(CARD)
    models.dense(folder / "safety" / "1" / "model.onnx", classes=3)
    (food / "golden").mkdir()
    (food / "golden" / "one.jpg").write_bytes(photo(1))
    return folder


def _of_the_future(path: Path) -> None:
    """A model of an opset that nobody has heard of."""
    model = onnx.load(str(models.dense(path)))
    model.opset_import[0].version = 99
    onnx.save(model, str(path))


@pytest.fixture(scope="module")
def server(folder):
    """A server with one worker per version; the golden answers are recorded from the first version."""
    from server.commands.models import golden

    golden.record(folder / "food" / "1", 0.001)
    with serving("--models", str(folder), "--watch", environ={"TUREEN_WORKERS": "1"}) as server:
        yield server


def posted(server: Server, path: str, number: int = 1):
    return asked(server, "POST", path, photo(number))


def asked(server: Server, method: str, path: str, body: bytes = b""):
    async def run():
        return await (await server.connect()).request(method, path, body)

    return server.run(run())


def changed(server: Server, path: str):
    """Change what is served; the model as it is then."""
    reply = asked(server, "POST", f"/v1/models/food/{path}")
    assert 200 == reply.status, reply.body
    return reply.json()


def status_of(server: Server, version: str):
    (found,) = [one for one in asked(server, "GET", "/v1/models/food").json()["versions"] if one["version"] == version]
    return found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/images", {"name": "food", "version": "1"}),
        ("/v1/images?model=safety", {"name": "safety", "version": "1"}),
        ("/v1/images?model=food&version=1", {"name": "food", "version": "1"}),
        ("/v1/models/safety/images", {"name": "safety", "version": "1"}),
        ("/v1/models/food/versions/1/images", {"name": "food", "version": "1"}),
    ],
)
def test_an_image_is_answered_by_the_model_it_names(server, path, expected):
    """And the answer says which one it was."""
    reply = posted(server, path)

    assert (200, expected) == (reply.status, reply.json()["model"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/images?model=drinks", "/v1/models/drinks/images", "/v1/models/food/versions/7/images",
        "/v1/images?model=food&version=7", "/v1/images?model=..%2f..%2fetc", "/v1/models/%2e%2e/images",
        "/v1/models/food%00/images", "/v1/images?model=" + "x" * 300,
    ],
)  # fmt: skip
def test_what_is_not_served_is_told_with_what_is(server, path):
    """404, for a name that is none as well."""
    reply = posted(server, path)

    assert (404, "unknown_model") == (reply.status, reply.json()["code"])
    assert "safety/1" in reply.json()["served"]


@pytest.mark.parametrize(
    "path", ["/v1/images?model=a&model=a", "/v1/images?model=a&model=b&version=1", "/v1/images?%ff"]
)
def test_a_query_that_makes_no_sense_is_refused(server, path):
    """Nobody guesses what was meant."""
    assert (400, "bad_model") == ((reply := posted(server, path)).status, reply.json()["code"])


def test_two_models_answer_one_upload(server):
    """Each as it would alone; decoded once, for both prepare images alike."""
    before = server.run(server.metrics())["tureen_shared_decodes_total"]
    reply = posted(server, "/v1/images?model=food&model=safety", 2).json()
    alone = posted(server, "/v1/images?model=safety", 2).json()

    assert {"food", "safety"} == reply["models"].keys()
    assert alone["predictions"] == reply["models"]["safety"]["predictions"]
    assert 1 == server.run(server.metrics())["tureen_shared_decodes_total"] - before


@pytest.mark.parametrize(
    ("version", "step", "said"),
    [
        ("truncated", "open", ""),
        ("broken", "open", "does not run"),
        ("opset", "open", "opset"),
        ("other-classes", "contract", "[N, 12]"),
        ("other-input", "contract", "[N, 3, 32, 32]"),
        ("wrong", "golden", "one.jpg: "),
        ("7", "files", "no version '7'"),
    ],
)
def test_a_bad_version_is_stopped_at_its_step(server, version, step, said):
    """With a reason, and the one before answers on."""
    reply = asked(server, "POST", f"/v1/models/food/versions/{version}/promote")
    problem = reply.json()

    assert (409, "load_failed", step) == (reply.status, problem["code"], problem["step"])
    assert said in problem["reason"]
    assert "1" == posted(server, "/v1/images").json()["model"]["version"]
    assert f'"step": "{step}"' in server.log


async def begin_loading(server):
    """Ask for version 2; the request under way, and the process that loads it."""
    client = await server.connect()
    before = {worker.pid for worker in server.workers}
    loading = asyncio.ensure_future(client.request("POST", "/v1/models/food/versions/2/load"))
    while not (new := [one for one in server.workers if one.pid not in before]):  # noqa: ASYNC110 - told by nobody
        await asyncio.sleep(0)
    return loading, new[0]


def test_a_version_that_crashes_its_process_costs_that_process(server):
    """A segmentation fault while it loads is one reason more."""

    async def run():
        beside = await server.connect()
        loading, loader = await begin_loading(server)
        loader.send_signal(signal.SIGSEGV)
        return await loading, await beside.post(photo(1))

    reply, image = server.run(run())
    assert (409, "open", 200) == (reply.status, reply.json()["step"], image.status)
    assert "crashed while it loaded the model (SIGSEGV)" in reply.json()["reason"]


@pytest.mark.long
def test_a_version_that_hangs_while_it_loads_is_given_up(folder):
    """After `--load-timeout`; the one before serves on."""

    async def run():
        beside = await server.connect()
        loading, loader = await begin_loading(server)
        loader.suspend()
        return await loading, await beside.post(photo(1))

    flags = ("--models", str(folder), "--load-timeout", "8s")
    with serving(*flags, environ={"TUREEN_WORKERS": "1"}) as server:
        reply, image = server.run(run())
        assert 1 == len([one for one in server.workers if one.is_running()]) - 1, "it is ended; safety has a worker"

    assert (409, "open", 200) == (reply.status, reply.json()["step"], image.status)
    assert "within 8" in reply.json()["reason"]


def test_a_version_that_is_right_on_golden_images_and_gives_nan_for_one_in_a_hundred_is_stopped(server):
    """By its guard, in shadow, with the reason; no client gets a failure."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(out, "PNG")

    async def run():
        client = await server.connect()
        old = (await client.request("GET", "/v1/models/food")).json()["default"]
        plan = {"version": "nan", "plan": 'steps = ["shadow 100%"]\ndwell = "1h"\n'}
        assert 200 == (await client.request("POST", "/v1/models/food/rollout", json.dumps(plan).encode())).status
        replies = [await client.post(photo(number)) for number in range(99)] + [await client.post(out.getvalue())]
        while (now := (await client.request("GET", "/v1/models/food/rollout")).json())["phase"] == "running":
            replies.append(await client.post(out.getvalue()))
        return old, replies, now

    old, replies, now = server.run(run())

    assert {(200, old)} == {(reply.status, reply.json()["model"]["version"]) for reply in replies}
    assert ("rolled_back", True) == (now["phase"], "output not finite (NaN) for" in now["reason"])


def test_a_version_is_promoted_and_rolled_back(server, folder):
    """The old one stays loaded, so that the way back is immediate; the state lies beside the model."""
    changed(server, "versions/2/promote")
    assert ("serving", "standby") == (status_of(server, "2")["status"], status_of(server, "1")["status"])
    assert "2" == posted(server, "/v1/images", 3).json()["model"]["version"]
    assert "2" == json.loads((folder / "food" / "state.json").read_text())["default"]

    changed(server, "rollback")
    assert "1" == posted(server, "/v1/images", 3).json()["model"]["version"]
    while '/rollback", "outcome"' not in server.log:  # lines are written by a thread
        pass
    audited = [json.loads(line) for line in server.log.splitlines() if '"event": "audit"' in line]
    acts = [(line["who"], line["act"], line["target"].rpartition("/")[2], line["outcome"]) for line in audited]
    assert ("ip:127.0.0.1", "POST", "promote", "done") in acts
    assert ("ip:127.0.0.1", "POST", "rollback", "done") in acts


def test_a_version_that_is_let_go_of_is_unknown(server):
    """Its memory is free, and its name is not served any more; the default cannot be let go of."""
    changed(server, "versions/2/load")
    assert 200 == posted(server, "/v1/models/food/versions/2/images").status

    changed(server, "versions/2/unload")

    assert 404 == posted(server, "/v1/models/food/versions/2/images").status
    assert "available" == status_of(server, "2")["status"]
    assert 409 == asked(server, "POST", "/v1/models/food/versions/1/unload").status


def test_no_change_of_version_fails_a_request(server):
    """25 changes at random under load: every request is answered, by a version that was serving."""
    found = server.run(change_under_load(server.connect, "food", ("1", "2"), 25, seed=4))

    assert {200} == found.statuses.keys()
    assert {"1", "2"} == found.versions.keys()
    assert (0, []) == (found.wrong, found.refused_changes)


def test_a_new_version_in_a_watched_folder_is_served(server, folder):
    """If it is the highest, and passes all checks."""
    coming = folder / "coming"
    shutil.copytree(folder / "safety" / "1", coming)
    coming.rename(folder / "safety" / "2")

    async def run():
        client = await server.connect()
        version = "1"
        while version != "2":
            version = (await client.request("POST", "/v1/images?model=safety", photo(1))).json()["model"]["version"]

    server.run(run())


def test_what_is_served_survives_a_restart(server, folder):
    """The state says it, not the card; and a lane that lost its workers has no other's."""
    changed(server, "versions/2/promote")
    _kill_workers(server)

    with serving("--models", str(folder), environ={"TUREEN_WORKERS": "1"}) as again:
        assert "2" == posted(again, "/v1/images").json()["model"]["version"]


def _kill_workers(server: Server) -> None:
    for worker in server.workers:
        try:
            worker.kill()
        except psutil.NoSuchProcess:
            pass
