"""`tureen tune` as a user runs it, and `tureen serve` after it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from server.fleet.layout.choose import Layout, LayoutRequest, full
from server.process.cpus import usable_cpus
from tests import models
from tests.end_to_end.harness import before_all, serving

pytestmark = pytest.mark.timeout(120)

HANG_S = 60.0
SHORT = ("--quick", "--budget", "1s")


def tune(*words, environ=None):
    command = [sys.executable, "-m", "server", "tune", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_S, check=False, env={**os.environ, **(environ or {})}
    )


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A run on the demo model: what it said, and the folder of its profile."""
    folder = tmp_path_factory.mktemp("profiles")
    return tune(*SHORT, "--profile-dir", folder, "--plot", folder / "p.svg"), folder


def layout_event(log):
    """What the server says about its layout."""
    (event,) = [one for one in map(json.loads, log.splitlines()) if one["event"] == "layout"]
    return event


def test_tune_shows_each_layout_and_saves_what_it_measured(tuned):
    """A table with a row chosen; a profile with every row of it; a picture."""
    ran, folder = tuned
    (path,) = folder.glob("*.json")
    rows = json.loads(path.read_text())["rows"]

    assert (0, "") == (ran.returncode, ran.stderr)
    assert {*full(usable_cpus(), LayoutRequest())} == {Layout(row["workers"], row["threads"]) for row in rows}
    assert 1 == len(re.findall(r" chosen$", ran.stdout, re.MULTILINE))
    assert len(rows) == len(re.findall(r"^\d+ x \d+ threads? +\d+ .* MB", ran.stdout, re.MULTILINE))
    assert f"Saved as {path}: tureen serve starts with it." in ran.stdout
    assert all(row["rate"] > 0 and row["cpu_s"] > 0 and row["memory"] > 0 for row in rows)
    assert "2 x 1 thread" in (folder / "p.svg").read_text()


def test_first_look_leaves_a_profile_of_every_layout_alone(tuned, tmp_path):
    """The last line says that it is not saved, and why."""
    path = shutil.copy(next(tuned[1].glob("*.json")), tmp_path)
    whole = json.dumps(json.loads(Path(path).read_text()) | {"whole": True, "when": "2026-01-02T03:04:05+00:00"})
    Path(path).write_text(whole)

    ran = tune(*SHORT, "--profile-dir", tmp_path)

    assert 0 == ran.returncode
    assert f"Not saved: {path} of 2026-01-02 has more layouts, and stays." == ran.stdout.splitlines()[-1]
    assert whole == Path(path).read_text()


def test_run_for_one_number_of_workers_leaves_the_general_profile_alone(tuned, tmp_path):
    """It is saved beside it, for a server that is told the same."""
    path = Path(shutil.copy(next(tuned[1].glob("*.json")), tmp_path))
    general = path.read_text()

    ran = tune(*SHORT, "--workers", "1", "--profile-dir", tmp_path)

    beside = path.with_stem(f"{path.stem}-workers-1")
    assert f"Saved as {beside}: tureen serve --workers 1 starts with it." == ran.stdout.splitlines()[-1]
    assert {1} == {row["workers"] for row in json.loads(beside.read_text())["rows"]}
    assert general == path.read_text()


def test_serve_starts_with_what_tune_found(tuned):
    """Layout and all; nothing is measured."""
    ran, folder = tuned
    (chosen,) = re.findall(r"^(\d+) x (\d+) threads? .* chosen$", ran.stdout, re.MULTILINE)

    with serving("--profile-dir", str(folder), measured=True) as server:
        event = layout_event(server.log)

    assert tuple(map(int, chosen)) == (event["workers"], event["threads"])
    assert re.fullmatch(r"from the profile of \d{4}-\d\d-\d\d", event["why"])
    assert '"layout_measured"' not in server.final_log


def test_serve_without_a_profile_measures_and_says_so():
    """Also where profiles can neither be read nor written: the folder is no folder."""
    with serving("--profile-dir", "/proc/version/x", measured=True) as server:
        event = layout_event(server.log)
        workers = len(server.workers)

    assert event["workers"] == workers
    assert re.fullmatch(r"measured at start-up: [\d.e+]+ images/s(; \d x \d threads?: [\d.e+]+)+", event["why"])


def test_what_is_asked_for_wins_over_a_profile(tuned):
    """And is not measured."""
    _, folder = tuned
    with serving("--profile-dir", str(folder), "--workers", "1", "--threads", "2", measured=True) as server:
        event = layout_event(server.log)

    assert (1, 2, "as configured") == (event["workers"], event["threads"], event["why"])
    assert '"layout_measured"' not in server.final_log


def test_interrupt_leaves_no_process_and_no_file(tmp_path):
    """Ctrl-C goes to the whole group, in the middle of it."""
    command = [sys.executable, "-m", "server", "tune", "--profile-dir", str(tmp_path / "profiles")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    while not (workers := psutil.Process(process.pid).children()):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=HANG_S)

    assert (130, "") == (process.returncode, said)
    assert [] == [worker for worker in workers if worker.is_running()]
    assert not (tmp_path / "profiles").exists()


def test_layout_whose_worker_dies_loses_its_rows_and_no_others(tmp_path):
    """The system has no memory for two threads, say."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'server.inference.worker' in sys.orig_argv:\n"
        "    import server.inference.onnx.providers as providers\n"
        "    options = providers._options\n"
        "    def deadly(threads, *others):\n"
        "        if threads == 2:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return options(threads, *others)\n"
        "    providers._options = deadly\n"
    )
    words = ("--workers", "1", "--budget", "1s", "--profile-dir", tmp_path / "p")

    ran = tune(*words, environ={"PYTHONPATH": before_all(tmp_path)})

    assert 0 == ran.returncode
    assert "1 x 2 threads: not measured: the worker has gone" in ran.stdout
    assert re.search(r"^1 x 1 thread +1 .* chosen$", ran.stdout, re.MULTILINE)
    assert 1 == len(list((tmp_path / "p").glob("*.json")))


@pytest.mark.parametrize(
    ("build", "reason"), [(models.two_inputs, "it has 2 inputs"), (models.never_finite, "is not finite")]
)
def test_model_that_cannot_be_served_cannot_be_tuned(tmp_path, build, reason):
    """For the reason that serve would give."""
    model = build(tmp_path / "m.onnx")

    ran = tune(model, *SHORT, "--profile-dir", tmp_path / "p")

    assert (1, "") == (ran.returncode, ran.stdout)
    assert ran.stderr.startswith(f"tureen: {model} cannot be tuned: ")
    assert reason in ran.stderr
    assert not (tmp_path / "p").exists()


def test_profile_that_cannot_be_written_is_told_after_the_table():
    """The figures are not lost; the exit code says that serve will not find them."""
    ran = tune(*SHORT, "--workers", "1", "--threads", "1", "--profile-dir", "/proc/version/x")

    assert 1 == ran.returncode
    assert " chosen" in ran.stdout
    assert ran.stderr.startswith("tureen: profile_dir = '/proc/version/x': must be a folder that can be written to: ")
