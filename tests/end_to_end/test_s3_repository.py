"""Models in a real S3-compatible server: a version is brought to traffic from there, and a damaged one is refused."""

import hashlib
import json
import shutil
from pathlib import Path

import boto3
import pytest

from server.repository.folder import SUMS
from tests import models
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.server.cleanup.test_stores import weed

__all__ = ["weed"]

pytestmark = pytest.mark.timeout(150)

PREFIX = "models"
PLAN = 'steps = ["shadow 100%", "canary 100%"]\ndwell = "100ms"\nat_least = 5\n'


@pytest.fixture
def bucket(weed, tmp_path):
    """Give the client of a bucket that has one version, and whose `put` takes the folder of another."""
    client, food = boto3.client("s3", endpoint_url=weed.endpoint), tmp_path / "food"
    models.dense(food / "1" / "model.onnx")
    (food / "model.toml").write_text('default_version = "1"\nslo = "30s"\nworkers = 1\n')

    def put(folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{PREFIX}/{path.relative_to(tmp_path).as_posix()}"
                client.put_object(Bucket="photos", Key=key, Body=path.read_bytes())

    put(food)
    return client, food, put


def version(food: Path, name: str, *, digest: str = "") -> Path:
    """A copy of version 1 with its digest beside it, or with another one."""
    folder = food / name
    shutil.copytree(food / "1", folder)
    found = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / SUMS).write_text(f"{digest or found}  model.onnx\n")
    return folder


def test_a_version_in_s3_is_rolled_out_and_a_damaged_one_is_refused(bucket, weed):
    """The state lies in the bucket, too, and says what answers."""
    client, food, put = bucket

    async def ask(server, method, path, document=None):
        body = b"" if document is None else json.dumps(document).encode()
        return await (await server.connect()).request(method, f"/v1/models/food{path}", body)

    async def work(server):
        put(version(food, "2"))
        put(version(food, "3", digest="0" * 64))
        damaged = await ask(server, "POST", "/versions/3/promote")
        begun = await ask(server, "POST", "/rollout", {"version": "2", "plan": PLAN})
        sender, versions, seed = await server.connect(), [], 0
        while (now := (await ask(server, "GET", "/rollout")).json())["phase"] == "running":
            seed += 1
            versions.append((await sender.post(photo(seed))).json()["model"]["version"])
        after = (await sender.post(photo(0))).json()["model"]["version"]
        return damaged, begun, now, versions, after

    flags = ("--models", f"s3://photos/{PREFIX}", "--s3-endpoint", weed.endpoint)
    with serving(*flags) as server:
        damaged, begun, now, versions, after = server.run(work(server))
    state = json.loads(client.get_object(Bucket="photos", Key=f"{PREFIX}/food/state.json")["Body"].read())

    assert (409, "files") == (damaged.status, damaged.json()["step"])
    assert "SHA256SUMS says 0000" in damaged.json()["reason"]
    assert (200, "promoted", "2") == (begun.status, now["phase"], after)
    assert {"1", "2"} == set(versions)
    assert "2" == state["default"]
