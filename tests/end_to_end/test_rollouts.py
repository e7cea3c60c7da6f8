"""New versions that reach traffic by steps, on two servers that share a folder of models."""

import asyncio
import io
import json
import sys
from collections import Counter
from contextlib import ExitStack

import pytest
from PIL import Image

from server.commands.rollout import command
from tests import candidates
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.terminal import Terminal

pytestmark = pytest.mark.timeout(180)  # a hang guard: each version is a process that loads a model

PLAN = 'steps = ["shadow 100%", "canary 50%", "canary 100%"]\ndwell = "100ms"\nat_least = 20\n'
LONG = 'steps = ["canary 50%"]\ndwell = "1h"\n'
SHADOW = 'steps = ["shadow 100%", "canary 100%"]\ndwell = "1h"\n'
CANDIDATES = {
    "good": candidates.good, "nan": candidates.not_finite_for_white, "slow": candidates.slow, "other": candidates.other,
}  # fmt: skip
ROLLOUT = "/v1/models/food/rollout"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder with a model, and further versions of it, each of its own kind."""
    folder = tmp_path_factory.mktemp("models")
    candidates.good(folder / "food" / "1" / "model.onnx")
    for version, candidate in CANDIDATES.items():
        candidate(folder / "food" / version / "model.onnx")
    (folder / "food" / "model.toml").write_text('default_version = "1"\nslo = "20s"\n')
    return folder


@pytest.fixture
def terminal():
    """Give a function that starts a command on a terminal of its own."""
    with ExitStack() as stack:
        yield lambda *words: stack.enter_context(Terminal(*words))


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


async def begin(server, version, plan):
    """Begin a rollout; the version that answers until now."""
    old = (await ask(server, "GET", "/v1/models/food")).json()["default"]
    reply = await ask(server, "POST", ROLLOUT, {"version": version, "plan": plan})
    assert 200 == reply.status, reply.body
    return old


async def send(server, seed=0, body=None, **headers):
    """One image."""
    return await once(server, "POST", "/v1/images", body or photo(seed), **headers)


async def state(server):
    """How far the rollout is."""
    return (await ask(server, "GET", ROLLOUT)).json()


async def until(server, phase, send_one):
    """Send images until the rollout is in this phase; every reply."""
    replies = []
    while (now := await state(server))["phase"] != phase:
        assert now["phase"] == "running", now
        replies.append(await send_one(len(replies)))
    return replies, now


async def follows(server, phase):
    """Wait until this server, too, knows of it."""
    while (await state(server)).get("phase") != phase:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def holds(server, version, status="ready"):
    """Wait until the version is so on this server, too."""

    async def found():
        model = (await ask(server, "GET", "/v1/models/food")).json()
        return {one["version"]: one["status"] for one in model["versions"]}

    while (await found())[version] != status:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def versions(replies):
    """Status and version of each."""
    return {(reply.status, reply.json()["model"]["version"]) for reply in replies}


def test_a_client_keeps_its_version(servers):
    """By its key, on both servers; of many clients about half have the new one. The operator takes it back."""
    first, second = servers

    async def work(_):
        old = await begin(first, "good", LONG)
        await holds(second, "good")
        found = {}
        for client in range(24):
            replies = [
                await send(server, seed, x_client_key=f"client-{client}")
                for seed, server in enumerate((first, second, first))
            ]
            found[client] = versions(replies)
        await ask(first, "POST", f"{ROLLOUT}/rollback")
        after = versions([await send(first, x_client_key=f"client-{client}") for client in range(10)])
        return old, found, after

    old, found, after = first.run(work(first))

    assert all(len(one) == 1 for one in found.values())
    assert 2 < Counter(one.pop() for one in found.values())[200, "good"] < 22
    assert {(200, old)} == after


def test_a_good_version_is_promoted_step_by_step(servers):
    """No request fails, both servers follow, and the new version answers in the end."""
    first, _ = servers

    async def work(_):
        old = await begin(first, "good", PLAN)
        replies, ended = await until(first, "promoted", lambda seed: send(first, seed))
        for server in servers:
            await holds(server, "good", "serving")
        return old, replies, ended, [await send(server) for server in servers]

    old, replies, ended, after = first.run(work(first))

    assert {(200, old), (200, "good")} == versions(replies)
    assert {(200, "good")} == versions(after)
    assert ["started: shadow 100%", "next: canary 50%", "next: canary 100%", "promoted"] == [
        event["what"] for event in ended["events"]
    ]
    assert ended["seen"]["pairs"] > 0
    assert 0 == ended["seen"]["different"]


def test_a_nan_on_one_server_rolls_back_on_both(servers):
    """Within seconds, with the reason; the client got the old version's answer."""
    first, second = servers

    async def work(_):
        old = await begin(first, "nan", SHADOW)
        await holds(second, "nan")
        fine = [await send(first, seed) for seed in range(10)]
        bad = await send(second, body=white())
        begun = asyncio.get_running_loop().time()
        await follows(first, "rolled_back")
        took_s = asyncio.get_running_loop().time() - begun
        await follows(second, "rolled_back")
        for server in servers:
            await holds(server, "nan", "available")
        after = [await send(server, 77) for server in servers]
        return old, [*fine, bad, *after], await state(first), took_s

    old, replies, ended, took_s = first.run(work(first))

    assert {(200, old)} == versions(replies)
    assert "output not finite (NaN) for 1 of" in ended["reason"]
    assert took_s < 5.0


def test_a_canary_that_fails_is_answered_by_the_old_version(servers):
    """Even then no request fails, and the failure is evidence."""
    first, _ = servers

    async def work(_):
        old = await begin(first, "nan", 'steps = ["canary 100%"]\ndwell = "1h"\n')
        reply = await send(first, body=white())
        await follows(first, "rolled_back")
        return old, reply, await state(first)

    old, reply, ended = first.run(work(first))

    assert {(200, old)} == versions([reply])
    assert "output not finite" in ended["reason"]


@pytest.mark.parametrize(
    ("version", "reason"), [("slow", "times as long per image"), ("other", "answers differ from the old version's")]
)
def test_a_version_that_is_slower_or_answers_otherwise_is_stopped_in_shadow(servers, version, reason):
    """Before any client had an answer of it."""
    first, _ = servers

    async def work(_):
        old = await begin(first, version, SHADOW)
        return old, *await until(first, "rolled_back", lambda seed: send(first, seed))

    old, replies, ended = first.run(work(first))

    assert {(200, old)} == versions(replies)
    assert reason in ended["reason"]


def test_it_can_be_paused_and_resumed(servers):
    """And only one rollout of a model is under way at a time."""
    first, _ = servers

    async def work(_):
        await begin(first, "other", 'steps = ["canary 1%"]\ndwell = "1h"\n')
        twice = await ask(first, "POST", ROLLOUT, {"version": "nan"})
        phases = []
        for change in ("pause", "resume", "rollback", "resume"):
            reply = await ask(first, "POST", f"{ROLLOUT}/{change}")
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
        return await ask(first, "POST", ROLLOUT, {"version": "other", "plan": 'steps = ["canary 0%"]'})

    reply = first.run(work(first))

    assert (400, "bad_plan") == (reply.status, reply.json()["code"])
    assert "above 0%" in reply.json()["reason"]


def test_the_command_begins_shows_and_ends_it(servers, tmp_path, capsys):
    """By a plan in a file; its exit code tells a rollback that nobody asked for."""
    first, _ = servers
    plan = tmp_path / "plan.toml"
    plan.write_text(LONG)
    url = ("--url", f"http://127.0.0.1:{first.port}")

    begun = command.run(["food", "other", "--plan", str(plan), "--detach", *url])
    words = capsys.readouterr().out
    ended = command.run(["food", "--rollback", *url])
    shown = command.run(["food", *url])
    twice = command.run(["food", "--rollback", *url])

    assert [0, 0, 3, 1] == [begun, ended, shown, twice]
    assert "version other is running at step 1 of 1, canary 50%; awaits 200 more images" in words
    assert "the operator said so" in capsys.readouterr().out


def test_the_command_shows_the_steps_live_and_can_be_left_paused_and_resumed(servers, terminal, tmp_path):
    """On a terminal: Ctrl-C ends the showing alone; whoever comes back sees it where it stands, and at its end."""
    first, _ = servers
    plan = tmp_path / "plan.toml"
    plan.write_text('steps = ["shadow 100%", "canary 100%"]\ndwell = "100ms"\nat_least = 10\n')
    url = ("--url", f"http://127.0.0.1:{first.port}")
    rollout = (sys.executable, "-m", "server", "models", "rollout", "food", *url)

    async def work(_):
        now = (await ask(first, "GET", "/v1/models/food")).json()["default"]
        return "good" if now == "1" else "1"

    version = first.run(work(first))
    shown = terminal(*rollout[:-2], version, "--plan", str(plan), *url)
    shown.until("shadow 100%", "awaits 10 more images", f"new ({version})")
    shown.press("\x03")
    left = shown.wait(), shown.text
    paused = command.run(["food", "--pause", *url])
    again = terminal(*rollout)
    again.until("is paused at step 1 of 2")
    assert 0 == command.run(["food", "--resume", *url])
    again.until("is running at step 1 of 2")

    async def traffic(_):
        return await until(first, "promoted", lambda seed: send(first, 1000 + seed))

    first.run(traffic(first))
    again.until(f"version {version} is promoted")

    assert (130, True) == (left[0], "the rollout goes on" in left[1])
    assert (0, 0) == (paused, again.wait())


def test_a_reference_for_drift_is_made_of_live_images(servers):
    """Workers look at some of them."""
    first, _ = servers

    async def collecting(version):
        """Looks that are still to come."""
        shown = (await ask(first, "GET", "/v1/models/food/drift")).json()["versions"]
        return next(one["collecting"] for one in shown if one["version"] == version)

    async def work(_):
        version = (await ask(first, "GET", "/v1/models/food")).json()["default"]
        few = await ask(first, "POST", "/v1/models/food/drift", {"version": version, "looks": 10})
        await ask(first, "POST", "/v1/models/food/drift", {"version": version, "looks": 500})
        seed = 0
        while await collecting(version) > 498:
            seed += 1
            await send(first, seed, cache_control="no-store")
        return few

    few = first.run(work(first))

    assert (400, "bad_plan") == (few.status, few.json()["code"])
    assert "500 to 10,000" in few.json()["reason"]


def test_it_is_seen_in_the_log_and_the_metrics(servers):
    """What happened, and how it ended."""
    first, second = servers

    async def work(_):
        await begin(first, "good" if (await state(first))["stable"] == "1" else "other", LONG)
        during = await first.metrics()
        await ask(first, "POST", f"{ROLLOUT}/rollback")
        await follows(second, "rolled_back")
        return during, await first.metrics()

    during, after = first.run(work(first))

    assert [0.5] == [value for name, value in during.items() if name.startswith("tureen_rollout_share{")]
    assert [] == [value for name, value in after.items() if name.startswith("tureen_rollout_share{")]
    assert after['tureen_rollouts_total{model="food",result="rolled_back"}'] > 0
    assert '"what": "rolled back: the operator said so"' in second.log
