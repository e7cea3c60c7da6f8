"""The pipelines: valid for what runs them, nothing but targets of the Makefile, and those do what they promise."""

import os
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests import candidates, models
from tests.end_to_end.harness import serving
from tests.end_to_end.test_rollouts import white

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
_NO_SCRIPT = {"stages", "default", "workflow"}
_BUILT = ("-o", f"{BIN.parent}/.serve", "-o", f"{BIN.parent}/.dev")  # this environment is up to date
_OF_OUR_MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "ARGS")  # where `make test` runs this


def make(target, *words, **variables):
    """Run a target as a pipeline does."""
    command = ["make", "-C", str(ROOT), *_BUILT, f"VENV={BIN.parent}", target, *words]
    environ = {name: value for name, value in os.environ.items() if name not in _OF_OUR_MAKE}
    return subprocess.run(command, env=environ | variables, capture_output=True, text=True)


def steps():
    """Give each command of each pipeline."""
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
    for name, job in yaml.safe_load(GITLAB.read_text()).items():
        if name not in _NO_SCRIPT and not name.startswith("."):
            yield from job["script"]


@pytest.mark.parametrize(
    "command",
    [
        ("actionlint", *WORKFLOWS),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS),
        ("check-jsonschema", "--builtin-schema", "custom.github-workflows-require-timeout", *WORKFLOWS),
        ("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", GITLAB),
    ],
    ids=["actionlint", "github", "time-outs", "gitlab"],
)
def test_validators_accept_the_pipelines(command):
    """Expressions, contexts and keys are known to what runs them."""
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_each_step_is_a_target():
    """What a pipeline does can be done on a laptop; both pipelines do the same."""
    targets = {re.fullmatch(r"(?:sudo -E )?make ([a-z]+)\b.*", step)[1] for step in steps()}
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert targets <= known
    assert targets >= {"check", "test", "dist", "image", "scan", "validate", "push", "deploy", "canary", "rollback"}


def test_nothing_is_pushed_or_rolled_out_unless_all_else_passed():
    """The order is in the pipeline, not in somebody's head; actions are pinned by their commit."""
    ci, model = (yaml.safe_load(path.read_text())["jobs"] for path in WORKFLOWS)

    assert {*ci} - {"push", "deploy"} == {*ci["push"]["needs"]}
    assert ("push", "validate") == (ci["deploy"]["needs"], model["canary"]["needs"])
    used = [step["uses"] for job in (*ci.values(), *model.values()) for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each) for each in used)


def test_a_bad_model_stops_the_pipeline(tmp_path):
    """The step fails for a model that no server can open, and passes for the demo model."""
    bad = models.two_inputs(tmp_path / "bad.onnx")

    assert 0 == make("validate", "ARGS=--latency 60s").returncode
    stopped = make("validate", f"MODEL={bad}")
    assert 2 == stopped.returncode
    assert "bad 1 must not be released" in stopped.stdout


def test_a_bad_canary_fails_its_step_and_leaves_the_old_version(tmp_path):
    """The servers' guards take it back; the step says why."""
    folder = tmp_path / "models" / "food"
    candidates.good(folder / "1" / "model.onnx")
    candidates.not_finite_for_white(folder / "2" / "model.onnx")
    (folder / "model.toml").write_text('default_version = "1"\nslo = "20s"\n')
    plan = tmp_path / "plan.toml"
    plan.write_text('steps = ["shadow 100%", "canary 100%"]\ndwell = "1h"\n')

    with serving("--models", str(folder.parent), environ={"TUREEN_WORKERS": "1"}) as server:
        url = f"http://{server.host}:{server.port}"
        over = threading.Event()
        sender = threading.Thread(target=send_until, args=(url, over))
        sender.start()
        done = make("canary", f"PLAN={plan}", NAME="food", VERSION="2", URL=url, KEY="")
        over.set()
        sender.join()
        with urllib.request.urlopen(f"{url}/v1/images", white()) as reply:
            answered = reply.read()

    assert 2 == done.returncode, done.stderr
    assert "not finite" in done.stdout + done.stderr
    assert b'"version":"1"' in answered


def send_until(url, over):
    """Send white images, for which the candidate answers NaN."""
    while not over.is_set():
        urllib.request.urlopen(
            urllib.request.Request(f"{url}/v1/images", white(), {"cache-control": "no-store"})
        ).close()


@pytest.mark.parametrize(("ready", "code", "last"), [("0", 0, "rollout status"), ("1", 2, "rollout undo")])
def test_a_deployment_that_does_not_get_ready_is_undone(tmp_path, ready, code, last):
    """A program that writes down what it is asked stands in for kubectl, since no cluster runs here."""
    asked = tmp_path / "asked"
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$*" >>{asked}\ncase "$*" in "rollout status"*) exit {ready};; esac\n')
    kubectl.chmod(0o755)

    done = make("deploy", IMAGE="example/tureen:1", PATH=f"{tmp_path}:{os.environ['PATH']}")

    lines = asked.read_text().splitlines()
    assert code == done.returncode
    assert "set image deployment/tureen tureen=example/tureen:1" == lines[1]
    assert lines[-1].startswith(last)
