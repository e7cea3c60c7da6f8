"""The Kubernetes manifests: rendered as `kubectl apply -k` would, valid for two versions, and strict."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from server.settings.topics import ServerSettings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
BIN = Path(sys.executable).parent
RENDERED = ("base", "overlays/cpu", "overlays/gpu", "overlays/keda", "overlays/kserve")
FOREIGN = {"ScaledObject", "InferenceService", "ServingRuntime"}  # no schema for them comes with Kubernetes


@pytest.fixture(scope="module", params=RENDERED)
def rendered(request, tmp_path_factory):
    """What would be applied, as a file."""
    done = subprocess.run([BIN / "kubectl", "kustomize", FOLDER / request.param], capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)
    path = tmp_path_factory.mktemp("rendered") / "all.yaml"
    path.write_text(done.stdout)
    return path


def objects(path, *kinds):
    """The objects of some kinds."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each["kind"] in kinds]


def pods(path):
    """The pod templates, with their names."""
    return [(each["metadata"]["name"], each["spec"]["template"]) for each in objects(path, "Deployment")]


@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_schemas_accept_what_is_rendered(rendered, version):
    """Strictly: an unknown key is an error."""
    done = subprocess.run(
        [BIN / "kubernetes-validate", "--strict", "-k", version, rendered], capture_output=True, text=True
    )

    unknown = [line for line in (done.stdout + done.stderr).splitlines() if "WARN" in line]
    assert 0 == done.returncode, done.stdout + done.stderr
    assert all(any(kind in line for kind in FOREIGN) for line in unknown)


def test_pods_are_confined(rendered):
    """Not root, nothing to write to but /tmp, no capability, no token; and within limits."""
    for name, template in pods(rendered):
        pod, container = template["spec"], template["spec"]["containers"][0]
        assert pod["automountServiceAccountToken"] is False, name
        assert "RuntimeDefault" == pod["securityContext"]["seccompProfile"]["type"], name
        assert pod["securityContext"]["runAsNonRoot"], name
        assert 0 < pod["securityContext"]["runAsUser"], name
        assert {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True} == {
            key: value for key, value in container["securityContext"].items() if key != "capabilities"
        }
        assert ["ALL"] == container["securityContext"]["capabilities"]["drop"], name
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}, name
        assert ["/tmp"] == [mount["mountPath"] for mount in container["volumeMounts"]], name


def test_servers_are_probed_and_have_time_to_drain(rendered):
    """The grace is longer than delay and time-out of the settings; what is rolled out never takes away what serves."""
    server = ServerSettings()
    drains_s = server.drain_delay + server.shutdown_timeout
    for name, template in pods(rendered):
        assert drains_s < template["spec"]["terminationGracePeriodSeconds"], name
        if name == "tureen":
            probes = {key: template["spec"]["containers"][0][f"{key}Probe"]["httpGet"]["path"] for key in
                      ("startup", "readiness", "liveness")}  # fmt: skip
            assert {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"} == probes


def test_service_and_budget_select_servers_only(rendered):
    """A consumer of a queue has no port: were it selected, its share of the requests would fail."""
    chosen = [each["spec"]["selector"] for each in objects(rendered, "Service")]
    chosen += [each["spec"]["selector"]["matchLabels"] for each in objects(rendered, "PodDisruptionBudget")]
    for selector in chosen:
        matching = [name for name, pod in pods(rendered) if selector.items() <= pod["metadata"]["labels"].items()]
        assert ["tureen"] == matching
