"""Triton's model repository extension: by Triton's own client, and by plain requests, on the port of clients."""

import json

import pytest

from tests import models
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.protocols.conftest import grpc_address, with_triton
from tests.protocols.test_rest import send
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def served(tmp_path):
    """Give a server whose first version answers while a second one lies there, and keys by their scope."""
    folder = tmp_path / "models"
    for version in ("1", "2", "10"):
        models.dense(folder / "food" / version / "model.onnx")
    (folder / "food" / "model.toml").write_text('default_version = "1"\n')
    keys = {scope: add_key(tmp_path / "keys.json", scope, scope) for scope in ("admin", "infer", "metrics")}
    flags = ("--models", str(folder), "--keys", str(tmp_path / "keys.json"), "--grpc-port", "0", "--slo", "30s")
    with serving(*flags, environ={"TUREEN_WORKERS": "1"}, admin=keys["metrics"]) as server:
        yield server, keys


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_tritons_client_changes_the_version(served, kind):
    """Its index lists all versions, `load` lets the newest answer, and what cannot be done is an error."""
    server, keys = served
    address = f"{server.host}:{server.port}" if kind == "http" else grpc_address(server)

    seen = json.loads(with_triton("triton_repository.py", kind, address, keys["admin"], "food"))

    before, after = (seen[when] if kind == "http" else seen[when]["models"] for when in ("before", "after"))
    assert [("1", "READY"), ("2", "UNAVAILABLE"), ("10", "UNAVAILABLE")] == [
        (one["version"], one["state"]) for one in before
    ]
    assert ("10", "READY") == (after[-1]["version"], after[-1]["state"])
    statuses = [seen[name][0] for name in ("unload", "config", "unknown", "keyless")]
    assert statuses == {
        "http": ["409", "400", "404", "401"],
        "grpc": [f"StatusCode.{code}" for code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND",
                                                   "UNAUTHENTICATED")],
    }[kind]  # fmt: skip
    assert {"name": "food", "version": "10"} == send(
        server, "POST", "/v1/images", photo(1), **bearer(keys["infer"])
    ).json()["model"]


def test_it_takes_the_scope_admin(served):
    """A key that may only send images may not look either."""
    server, keys = served
    path = "/v2/repository/index"

    assert 403 == send(server, "POST", path, **bearer(keys["infer"])).status
    assert 401 == send(server, "POST", path).status
    listed = send(server, "POST", path, b'{"ready": true}', **bearer(keys["admin"])).json()
    assert [{"name": "food", "version": "1", "state": "READY", "reason": ""}] == listed
    assert 400 == send(server, "POST", path, b'{"ready": 3}', **bearer(keys["admin"])).status


def test_a_change_is_in_the_audit_log(served):
    """Whoever it was that asked, and by which protocol."""
    server, keys = served

    send(server, "POST", "/v2/repository/models/food/load", **bearer(keys["admin"]))

    while not (lines := [line for line in server.log.splitlines() if "/v2/repository/models/food/load" in line]):
        pass  # it is written beside the answer
    assert ["done"] == [json.loads(line)["outcome"] for line in lines]


def test_without_keys_it_is_not_on_a_public_port(tmp_path):
    """Where anybody may come, nobody changes models."""
    models.dense(tmp_path / "food" / "1" / "model.onnx")
    flags = ("--models", str(tmp_path), "--host", "0.0.0.0", "--admin-port", "0")
    with serving(*flags, environ={"TUREEN_WORKERS": "1"}, ready=False) as server:
        assert 404 == send(server, "POST", "/v2/repository/index").status
