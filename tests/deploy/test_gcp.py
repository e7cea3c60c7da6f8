"""The Terraform files: parsed, complete among themselves, and within the policy. No provider is asked."""

import re
from pathlib import Path

import hcl2
import pytest

from server.settings.load import load_settings

FOLDER = Path(__file__).parents[2] / "deploy" / "gcp"
FILES = sorted(FOLDER.glob("*.tf"))


def plain(value):
    """Without the quotes that the parser keeps around strings and names."""
    match value:
        case dict():
            return {plain(key): plain(one) for key, one in value.items() if not str(key).startswith("__")}
        case list():
            return [plain(one) for one in value]
        case str():
            return value.strip('"')
    return value


@pytest.fixture(scope="module")
def parsed():
    """All blocks of all files, by kind."""
    blocks = {}
    for path in FILES:
        with path.open() as file:
            for kind, found in plain(hcl2.load(file)).items():
                blocks.setdefault(kind, []).extend(found)
    return blocks


@pytest.fixture(scope="module")
def resources(parsed):
    """By type and name."""
    return {
        f"{kind}.{name}": body
        for block in parsed["resource"] for kind, named in block.items() for name, body in named.items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def service(resources):
    (template,) = resources["google_cloud_run_v2_service.tureen"]["template"]
    return template


def test_what_is_named_is_there(parsed, resources):
    """Each variable, local value and resource that an expression names; and each variable is used."""
    text = "\n".join(path.read_text() for path in FILES)
    variables = {name for block in parsed["variable"] for name in block}
    named = set(re.findall(r"(google_[a-z0-9_]+\.[a-z_]+)\.[a-z]", text))

    assert variables == set(re.findall(r"var\.([a-z_]+)", text))
    assert set(re.findall(r"local\.([a-z_]+)", text)) <= {name for block in parsed["locals"] for name in block}
    assert named <= resources.keys()


def test_environment_is_one_that_the_server_takes(parsed):
    """But for the names of AWS' SDK, and what is a file there."""
    (local,) = parsed["locals"]
    told = {name: re.sub(r"\$\{[^}]*\}", "bucket", value) for name, value in local["environment"].items()}
    told.pop("TUREEN_KEYS"), told.pop("TUREEN_REQUIRE_AUTH")
    settings = load_settings([], told)

    assert ("s3://bucket/kept", "https://storage.googleapis.com") == (
        settings.storage.store,
        settings.storage.s3_endpoint,
    )
    assert settings.server.drain_delay + settings.server.shutdown_timeout < 10  # what Cloud Run waits
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} == local["secrets"].keys()


def test_instances_are_probed_and_limited(service):
    """Ready before traffic, alive by the event loop; and CPU between requests, for what is on its way to the store."""
    (container,) = service["containers"]
    (limits,) = container["resources"]
    probes = {kind: container[f"{kind}_probe"][0]["http_get"][0]["path"] for kind in ("startup", "liveness")}

    assert {"startup": "/readyz", "liveness": "/healthz"} == probes
    assert {"cpu", "memory"} == limits["limits"].keys()
    assert limits["cpu_idle"] is False
    assert service["scaling"][0].keys() == {"min_instance_count", "max_instance_count"}


def test_bucket_and_service_are_not_public(resources):
    """The bucket is private, the service is reached by its load balancer only, and that speaks TLS 1.2 or newer."""
    bucket = resources["google_storage_bucket.kept"]
    ingress = resources["google_cloud_run_v2_service.tureen"]["ingress"]
    tls = resources["google_compute_ssl_policy.tureen"]

    assert (True, "enforced") == (bucket["uniform_bucket_level_access"], bucket["public_access_prevention"])
    assert ("INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "TLS_1_2") == (ingress, tls["min_tls_version"])


def test_account_may_only_what_it_needs(resources):
    """Objects of one bucket and three secrets; nothing in the project as a whole."""
    roles = {body["role"] for name, body in resources.items() if "_iam_" in name}

    assert {"roles/storage.objectUser", "roles/secretmanager.secretAccessor"} == roles
    assert not [name for name in resources if name.startswith("google_project_iam")]
