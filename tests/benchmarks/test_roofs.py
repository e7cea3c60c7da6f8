"""The whole measurement, with the real server, in small."""

import json
import subprocess
import sys

import psutil
import pytest

from benchmarks import roofs, store
from benchmarks.child import Child, ChildDied
from benchmarks.works import USUAL, WORKS

START_AND_MEASURE_S = 50


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of its own for what is made, and the certainty that no process is left behind."""
    monkeypatch.setattr(store, "RESULTS", tmp_path)
    before = psutil.Process().children(recursive=True)  # servers that other tests share
    yield tmp_path
    assert [child for child in psutil.Process().children(recursive=True) if child not in before] == []


@pytest.mark.long
def test_a_work_is_measured(results, capsys):
    """Every figure is there, and makes sense."""
    file = results / "out.json"

    code = roofs.main(["--work", "tiny", "--seconds", "0.3", "--rounds", "1", "--json", str(file)])

    assert code == 0
    whole = json.loads(file.read_text())
    (round_,) = whole["works"][0]["rounds"]
    assert 0 < round_["served_rate"] < round_["roof_rate"] * 1.5
    assert 0 < round_["client_share"] < 0.5
    assert 0 < round_["bare_p50_s"] < round_["lone_p50_s"] * 1.5
    assert "CPU" in whole["machine"]
    assert "| efficiency " in capsys.readouterr().out


@pytest.mark.long
def test_a_run_with_refusals_has_no_figure(results, capsys):
    """32 connections at a queue of one: most are refused, and a rate of the rest would be no capacity."""
    code = roofs.main(["--work", "tiny", "--seconds", "0.2", "--rounds", "1", "--serve=--max-queue 1"])

    assert code == 1
    assert "No figure: 200: " in (out := capsys.readouterr().out) or "No figure: 503: " in out
    assert "| served" not in out


def test_a_server_that_does_not_start_is_reported(results, capsys):
    """And the next work would still be measured."""
    assert 1 == roofs.main(["--work", "tiny", "--seconds", "0.2", "--serve=--no-such-flag"])

    assert "No figure: the server did not start" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [["--seconds", "0"], ["--rounds", "0"], ["--work", "huge"]])
def test_flags_that_make_no_sense_are_refused(flags, capsys):
    """Before anything is started."""
    with pytest.raises(SystemExit):
        roofs.main(flags)


def test_help_teaches():
    """What it measures, what it takes, and lines to try."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.roofs", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=START_AND_MEASURE_S,
    )

    assert "examples:" in done.stdout
    assert all(name in done.stdout for name in WORKS)


def test_the_usual_works_are_works():
    """Those measured when none is named."""
    assert set(USUAL) <= WORKS.keys()


def test_a_child_that_dies_is_reported(capfd):
    """Not waited for."""
    with (
        Child("benchmarks.bare", ["/no/such/model.onnx"]) as child,
        pytest.raises(ChildDied, match="exit code 1"),
    ):
        child.answer()


def test_a_child_ends_with_its_input():
    """So that nothing is left of a parent that was killed."""
    with Child("benchmarks.bare", [str(WORKS["tiny"].model_path()), *map(str, WORKS["tiny"].pictures())]) as child:
        child.answer()
        child._process.stdin.close()

        assert child._process.wait(START_AND_MEASURE_S) == 0
