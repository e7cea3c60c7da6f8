"""The device's benchmark, on the CPU provider and in small: a check of the benchmark, not of a device."""

import json
import re

import psutil
import pytest
from onnx import TensorProto, helper

from benchmarks import device, store
from benchmarks.device import NO_GPU, SERVED, Row, table
from benchmarks.device_steps import BARE
from tests import models

STEPS = [BARE, "+ IO binding", "+ bytes"]
SMALL = ["--provider", "cpu", "--batch", "2", "--seconds", "0.1", "--rounds", "2"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of its own for what is made, and the certainty that no process is left behind."""
    monkeypatch.setattr(store, "RESULTS", tmp_path)
    before = psutil.Process().children(recursive=True)  # servers that other tests share
    yield tmp_path
    assert [child for child in psutil.Process().children(recursive=True) if child not in before] == []


@pytest.mark.long
def test_steps_and_server_are_measured_in_turns(results, capsys):
    """One copy a batch each, of a quarter of the bytes from the last step on; that no GPU was there is said."""
    file = results / "raw.json"

    code = device.main([*SMALL, "--work", "tiny", "--json", str(file)])

    rows = json.loads(file.read_text())["rows"]
    assert (0, [*STEPS, SERVED]) == (code, list(rows))
    assert [(1, 602_112), (1, 602_112), (1, 150_528)] == [(rows[step]["copies"], rows[step]["sent"]) for step in STEPS]
    assert all(len(row["rates"]) == 2 and min(row["rates"]) > 0 for row in rows.values())
    assert NO_GPU in (out := capsys.readouterr().out)
    assert "\n| + bytes " in out


def test_a_model_of_bytes_has_no_step_to_bytes(results, capsys):
    """It is sent bytes from the beginning. Its batch is fixed, and that is the batch."""
    model = models.takes(results / "m.onnx", TensorProto.UINT8, [3, 20, 30, 3])

    assert 0 == device.main([*SMALL, "--no-server", "--model", str(model)])
    assert "| + IO binding " in (out := capsys.readouterr().out)
    assert "| 1.8 " in out
    assert "batches of 3" in out
    assert "+ bytes" not in out
    assert SERVED not in out


def test_float16_is_a_step_more(results, capsys):
    """Of the bytes' kind; the other steps are as they are without it."""
    assert 0 == device.main([*SMALL, "--no-server", "--work", "tiny", "--precision", "fp16"])
    assert [*STEPS, "+ float16"] == re.findall(r"^\| (bare [^|]*?|\+ [^|]*?) +\|", capsys.readouterr().out, re.M)


def test_a_step_that_disagrees_has_no_figure(results, capsys):
    """As of a model whose answers are by chance."""
    nodes = [helper.make_node("RandomUniformLike", ["image"], ["scores"], high=100.0)]
    shape = ("N", 3, 8, 8)
    ends = [("image", TensorProto.FLOAT, shape)], [("scores", TensorProto.FLOAT, shape)]
    model = models.save(results / "m.onnx", nodes, {}, *ends)

    assert 1 == device.main([*SMALL, "--no-server", "--model", str(model)])
    assert "No figure: + IO binding: its outputs are not those of the bare" in capsys.readouterr().out


def test_a_device_that_is_not_there_has_no_figure(results, capsys):
    """It never falls back to the CPU. No machine has a GPU of this number."""
    flags = ["--provider", "cuda", "--device", "1023", "--no-server", "--work", "tiny"]

    assert 1 == device.main([*SMALL, *flags])
    assert "No figure: " in capsys.readouterr().out


def test_ratios_are_taken_within_a_round():
    """A machine that was twice as fast in the second changes none of them."""
    rows = [Row(BARE, [100.0, 200.0], 1, 4000), Row("+ bytes", [150.0, 300.0], 1, 1000), Row(SERVED, [80.0, 170.0])]

    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(rows).splitlines()[2:]]
    assert [
        [BARE, "150.0", "1.000", "1.000 to 1.000", "1", "4.0"],
        ["+ bytes", "225.0", "1.500", "1.500 to 1.500", "1", "1.0"],
        [SERVED, "125.0", "0.825", "0.800 to 0.850", "", ""],
    ] == cells
