"""The Compose stack: valid, confined, and in step with the files that it shares. `make soak` runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from server.settings.load import load_settings
from server.settings.topics import ServerSettings

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def block(path, name):
    """A block of an nginx configuration, its inner blocks included."""
    text = path.read_text()
    start = text.index(f"{name} {{")
    depth, end = 0, start
    while not (depth == 0 and text[end - 1] == "}"):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start:end]


def test_files_are_valid():
    """By the schema of Compose."""
    files = (FOLDER / "compose.yaml", FOLDER / "compose.debian.yaml")
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files], capture_output=True, text=True
    )

    assert 0 == done.returncode, done.stdout


def test_services_are_confined(services):
    """Nothing to write to but volumes and /tmp, no capability, no new privilege; ports for this machine only."""
    for name, service in services.items():
        assert (True, ["ALL"]) == (service["read_only"], service["cap_drop"]), name
        assert ["no-new-privileges:true"] == service["security_opt"], name
        assert service["mem_limit"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_replicas_have_time_to_drain_and_settings_that_exist(services):
    """The grace is longer than delay and time-out together."""
    server = ServerSettings()
    for name in ("tureen-1", "tureen-2"):
        grace_s = float(services[name]["stop_grace_period"].removesuffix("s"))
        settings = load_settings([], services[name]["environment"])
        assert server.drain_delay + server.shutdown_timeout < grace_s
        assert ("s3://photos/kept", "redis://redis:6379/0") == (settings.storage.store, settings.cache.cache)


def test_load_balancer_is_the_one_that_is_documented():
    """Only the names of the replicas differ, and what is done about one that has gone with its address."""
    own, documented = FOLDER / "nginx.conf", FOLDER.parent / "nginx" / "nginx.conf"
    upstream = re.sub(r"tureen-(\d):8080", r"127.0.0.1:808\1", block(own, "upstream tureen"))
    server = re.sub(r" *#.*\n", "", block(own, "server"))
    server = server.replace("error timeout http_503", "error http_503").replace("250ms", "1s")

    assert block(documented, "server") == server
    assert block(documented, "upstream tureen") == upstream


def test_prometheus_takes_its_configuration(tmp_path):
    """With the rules that are shared."""
    for path in (FOLDER / "prometheus.yml", FOLDER.parent / "prometheus" / "rules.yml"):
        shutil.copy(path, tmp_path)
    done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)

    assert 0 == done.returncode, done.stderr
