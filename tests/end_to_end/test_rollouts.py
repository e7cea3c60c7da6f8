"""New versions that reach traffic by steps, on two servers that share a folder of models."""

import asyncio
import io
import json
from collections import Counter

import pytest
from PIL import Image

from tests import candidates
from tests.end_to_end.harness import serving
from tests.photos import photo

PLAN = 'steps = ["shadow 100%", "canary 50%", "canary 100%"]\ndwell = "100ms"\nat_least = 20\n'
LONG = 'steps = ["canary 50%"]\ndwell = "1h"\n'
SHADOW = 'steps = ["shadow 100%", "canary 100%"]\ndwell = "1h"\n'
CANDIDATES = {
    "good": candidates.good, "sticky": candidates.good, "nan": candidates.not_finite_for_white,
    "failing": candidates.not_finite_for_white, "slow": candidates.slow, "other": candidates.other,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder with a model per test, each with a second version of its own kind."""
    folder = tmp_path_factory.mktemp("models")
    for name, candidate in CANDIDATES.items():
        candidates.good(folder / name / "1" / "model.onnx")
        candidate(folder / name / "2" / "model.onnx")
        (folder / name / "model.toml").write_text('default_version = "1"\nslo = "20s"\n')
    return folder


@pytest.fixture(scope="module")
def servers(folder):
    """Give two servers on the same folder."""
    flags = ("--models", str(folder))
    environ = {"TUREEN_WORKERS": "1"}
    with serving(*flags, environ=environ) as one, serving(*flags, environ=environ) as other:
        yield one, other


def white():
    """Give a white picture."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(out, "PNG")
    return out.getvalue()


async def ask(server, method, path, document=None):
    """One request of the operator."""
    return await once(server, method, path, b"" if document is None else json.dumps(document).encode())


async def once(server, method, path, body=b"", **headers):
    """One request on a connection of its own."""
    client = await server.connect()
    try:
        return await client.request(method, path, body, **headers)
    finally:
        await client.close()


async def begin(server, name, plan, version="2"):
    """Begin a rollout."""
    reply = await ask(server, "POST", f"/v1/models/{name}/rollout", {"version": version, "plan": plan})
    assert 200 == reply.status, reply.body
    return reply.json()


async def send(server, name, seed=0, body=None, **headers):
    """One image for a model."""
    headers["cache-control"] = "no-store"
    return await once(server, "POST", f"/v1/models/{name}/images", body or photo(seed), **headers)


async def state(server, name):
    """How far a rollout is."""
    return (await ask(server, "GET", f"/v1/models/{name}/rollout")).json()


async def until(server, name, phase, send_one):
    """Send images until a rollout is in this phase; every reply."""
    replies = []
    while (now := await state(server, name))["phase"] != phase:
        assert now["phase"] == "running", now
        replies.append(await send_one(len(replies)))
    return replies, now


async def follows(server, name, phase):
    """Wait until this server, too, knows of it."""
    while (await state(server, name)).get("phase") != phase:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def holds(server, name, version="2"):
    """Wait until this server, too, holds the version."""

    async def found():
        model = (await ask(server, "GET", f"/v1/models/{name}")).json()
        return {one["version"]: one["status"] for one in model["versions"]}

    while (await found())[version] != "ready":  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def test_a_good_version_is_promoted_step_by_step(servers):
    """No request fails, both servers follow, and the new version answers in the end."""
    first, second = servers

    async def work(_):
        await begin(first, "good", PLAN)
        replies, ended = await until(first, "good", "promoted", lambda seed: send(first, "good", seed))
        await follows(second, "good", "promoted")
        after = [await send(server, "good") for server in servers]
        return replies, ended, after

    replies, ended, after = first.run(work(first))

    assert {200} == {reply.status for reply in replies}
    assert {"1", "2"} == {reply.json()["model"]["version"] for reply in replies}
    assert ["2", "2"] == [reply.json()["model"]["version"] for reply in after]
    assert ["started: shadow 100%", "next: canary 50%", "next: canary 100%", "promoted"] == [
        event["what"] for event in ended["events"]
    ]
    assert ended["seen"]["pairs"] > 0
    assert 0 == ended["seen"]["different"]


def test_a_client_keeps_its_version(servers):
    """By its key, on both servers; of many clients about half have the new one. The operator takes it back."""
    first, _ = servers

    async def work(_):
        await begin(first, "sticky", LONG)
        await holds(servers[1], "sticky")
        found = {}
        for client in range(40):
            versions = [
                (await send(server, "sticky", seed, x_client_key=f"client-{client}")).json()["model"]["version"]
                for seed, server in enumerate((*servers, *servers))
            ]
            found[client] = {*versions}
        await ask(first, "POST", "/v1/models/sticky/rollout/rollback")
        after = {(await send(first, "sticky", x_client_key=f"client-{client}")).json()["model"]["version"]
                 for client in range(10)}  # fmt: skip
        return found, after

    found, after = first.run(work(first))

    assert all(len(versions) == 1 for versions in found.values())
    assert 5 < Counter(versions.pop() for versions in found.values())["2"] < 35
    assert {"1"} == after


def test_a_nan_on_one_server_rolls_back_on_both(servers):
    """Within seconds, with the reason; the client got the old version's answer."""
    first, second = servers

    async def work(_):
        await begin(first, "nan", SHADOW)
        await holds(second, "nan")
        fine = [await send(first, "nan", seed) for seed in range(20)]
        loop = asyncio.get_running_loop()
        begun = loop.time()
        bad = await send(second, "nan", body=white())
        await follows(first, "nan", "rolled_back")
        took_s = loop.time() - begun
        return [*fine, bad], await state(first, "nan"), took_s

    replies, ended, took_s = first.run(work(first))

    assert {(200, "1")} == {(reply.status, reply.json()["model"]["version"]) for reply in replies}
    assert "output not finite (NaN) for 1 of" in ended["reason"]
    assert took_s < 5.0


def test_a_canary_that_fails_is_answered_by_the_old_version(servers):
    """Even then no request fails, and the failure is evidence."""
    first, _ = servers

    async def work(_):
        await begin(first, "failing", 'steps = ["canary 100%"]\ndwell = "1h"\n')
        reply = await send(first, "failing", body=white())
        await follows(first, "failing", "rolled_back")
        return reply, await state(first, "failing")

    reply, ended = first.run(work(first))

    assert (200, "1") == (reply.status, reply.json()["model"]["version"])
    assert "output not finite" in ended["reason"]


@pytest.mark.parametrize(
    ("name", "reason"), [("slow", "times as long per image"), ("other", "answers differ from the old version's")]
)
def test_a_version_that_is_slower_or_answers_otherwise_is_stopped_in_shadow(servers, name, reason):
    """Before any client had an answer of it."""
    first, _ = servers

    async def work(_):
        await begin(first, name, SHADOW)
        return await until(first, name, "rolled_back", lambda seed: send(first, name, seed))

    replies, ended = first.run(work(first))

    assert {(200, "1")} == {(reply.status, reply.json()["model"]["version"]) for reply in replies}
    assert reason in ended["reason"]


def test_it_can_be_paused_and_resumed(servers):
    """And only one rollout of a model is under way at a time."""
    first, _ = servers

    async def work(_):
        await begin(first, "other", LONG)
        twice = await ask(first, "POST", "/v1/models/other/rollout", {"version": "2"})
        phases = []
        for change in ("pause", "resume", "rollback", "resume"):
            reply = await ask(first, "POST", f"/v1/models/other/rollout/{change}")
            phases.append((reply.status, reply.json().get("phase") or reply.json()["reason"]))
        return twice, phases

    twice, phases = first.run(work(first))

    assert (409, "state_conflict") == (twice.status, twice.json()["code"])
    assert [
        (200, "paused"), (200, "running"), (200, "rolled_back"), (409, "it is rolled back, not paused"),
    ] == phases  # fmt: skip


def test_a_plan_that_breaks_a_rule_is_refused(servers):
    """With the rule; nothing is loaded for it."""
    first, _ = servers

    async def work(_):
        return await ask(first, "POST", "/v1/models/other/rollout", {"version": "2", "plan": 'steps = ["canary 0%"]'})

    reply = first.run(work(first))

    assert (400, "bad_plan") == (reply.status, reply.json()["code"])
    assert "above 0%" in reply.json()["reason"]
