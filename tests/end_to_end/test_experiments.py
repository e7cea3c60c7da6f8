"""An experiment from its card to its report, with the real server, its clean-up process and a folder as store."""

import asyncio
import json
import random

import pytest

from server.commands.ab import command
from tests import candidates
from tests.end_to_end.harness import serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(180)  # a hang guard: each version is a process that loads a model

CARD = """
default_version = "1"
slo = "20s"

[experiment]
name = "tips"

[[experiment.arms]]
name = "control"
version = "1"
share = 0.5

[[experiment.arms]]
name = "longer"
version = "2"
share = 0.5
"""
CLIENTS = 40


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Give a folder of models: one, with two versions of the same answers."""
    folder = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        candidates.good(folder / "food" / version / "model.onnx")
    (folder / "food" / "model.toml").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give the folder of a store."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def sent(repository, store):
    """Give what clients were answered: two images each, one with an outcome; and the replies to odd outcomes."""

    async def outcome(client, id_, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await client.request("POST", f"/v1/images/{id_}/outcome", body)

    async def work(server):
        client = await server.connect()
        loaded = await client.request("POST", "/v1/models/food/versions/2/load")
        assert 200 == loaded.status, loaded.body
        chance = random.Random(1)
        answers, statuses = {}, []
        for number in range(CLIENTS):
            replies = [await client.post(photo(2 * number + at), x_client_key=f"client-{number}") for at in range(2)]
            answers[number] = [reply.json() for reply in replies]
            value = float(chance.random() < 0.5)
            statuses.append((await outcome(client, answers[number][0]["id"], {"metric": "ok", "value": value})).status)
        id_, unknown = answers[0][0]["id"], "01900000-0000-7000-8000-000000000000"
        again = await outcome(client, id_, {"metric": "ok", "value": 1.0})
        odd = [
            await outcome(client, id_, {"metric": "no spaces", "value": 1}),
            await outcome(client, id_, {"metric": "ok", "value": "much"}),
            await outcome(client, id_, b"{"),
            await outcome(client, unknown, {"metric": "ok", "value": 1}),
            await outcome(client, "..%2f", {"metric": "ok", "value": 1}),
        ]
        while list((store / ".spool").glob("*.item")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        gone = answers[1][0]["id"]
        await client.request("DELETE", f"/v1/images/{gone}")
        return answers, statuses, again.status, [one.status for one in odd], gone

    flags = ("--models", str(repository), "--store", str(store), "--records", "open")
    with serving(*flags, environ={"TUREEN_WORKERS": "1"}) as server:
        yield server.run(work(server))


def test_a_client_stays_in_its_arm(sent):
    """Both of its images have the same version; both arms have clients."""
    answers, *_ = sent
    versions = {number: {one["model"]["version"] for one in both} for number, both in answers.items()}

    assert all(len(one) == 1 for one in versions.values())
    assert 8 < sum("2" in one for one in versions.values()) < 32


def test_outcomes_are_kept(sent):
    """The same one again replaces it."""
    _, statuses, again, _, _ = sent

    assert {204} == {*statuses}
    assert 204 == again


def test_odd_outcomes_are_refused(sent):
    """And those of images that nobody was answered."""
    *_, odd, _ = sent

    assert [400, 400, 400, 404, 404] == odd


def test_an_outcome_goes_with_its_image(sent, store):
    """Nothing is left of a deleted one."""
    *_, gone = sent

    assert [] == list(store.rglob(f"{gone}*"))


def test_the_report_counts_clients(sent, repository, store, capsys):
    """Each once, whatever the number of its images; the pseudonyms tell nothing of the keys."""
    code = command.run(["report", str(repository / "food"), "--store", str(store), "--metric", "ok", "--json"])
    report = json.loads(capsys.readouterr().out)

    assert 0 == code
    assert CLIENTS == sum(arm["units"] for arm in report["arms"])
    assert CLIENTS - 1 == sum(arm["measured"] for arm in report["arms"])
    assert ["control", "longer"] == [arm["name"] for arm in report["arms"]]
    assert not report["mismatched"]
    assert report["comparisons"][0]["verdict"].startswith("too few")
    assert not any(b"client-7" in path.read_bytes() for path in store.rglob("*.json"))


def test_the_report_is_a_table_and_a_page(sent, repository, store, capsys, tmp_path):
    """The page needs nothing from elsewhere."""
    asked = ["report", str(repository / "food"), "--store", str(store), "--metric", "ok"]
    page = tmp_path / "report.html"
    assert [0, 0] == [command.run(asked), command.run([*asked, "--html", str(page)])]

    assert "against control" in capsys.readouterr().out
    assert "tips: ok" in page.read_text()
    assert "http" not in page.read_text()


def test_a_card_without_experiment_is_refused(store, tmp_path, capsys):
    """With the reason."""
    candidates.good(tmp_path / "food" / "1" / "model.onnx")

    assert 1 == command.run(["report", str(tmp_path / "food"), "--store", str(store), "--metric", "ok"])
    assert "has no [experiment]" in capsys.readouterr().err
