"""The new version: its number, and that it is there whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from server.models.card import MODEL_FILE, versions_in
from server.optimize.errors import OptimizeError
from server.optimize.version import next_version, writing
from server.repository.folder import check_sums


@pytest.mark.parametrize(
    ("there", "following"),
    [(["1"], "2"), (["9", "10"], "11"), (["v1", "v2"], "v3"), (["1", "stable"], "2"), (["stable"], "2")],
)
def test_the_next_version_is_one_above_the_highest(there, following):
    """In the form of that one."""
    assert following == next_version(there)


def test_what_is_written_is_there_with_its_sums(tmp_path):
    """Under its name, and nothing beside it."""
    with writing(tmp_path / "food" / "2") as folder:
        (folder / MODEL_FILE).write_bytes(b"model")
        assert [] == versions_in(tmp_path / "food")

    assert ["2"] == os.listdir(tmp_path / "food")
    check_sums(tmp_path / "food" / "2")


def stopped(final, end):
    """Write half of a version, then end so."""
    with writing(final) as folder:
        (folder / "report.json").write_bytes(b"{}")
        if end:
            raise end


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OSError(28, "No space left on device"), None])
def test_an_end_in_the_middle_leaves_nothing(tmp_path, end):
    """Ctrl-C, a full disk, or a model that was not written."""
    with pytest.raises((KeyboardInterrupt, OSError, OptimizeError)):
        stopped(tmp_path / "2", end)

    assert [] == os.listdir(tmp_path)


def test_a_version_that_is_there_is_not_replaced(tmp_path):
    """Somebody else was faster."""
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / MODEL_FILE).write_bytes(b"theirs")

    with pytest.raises(OptimizeError, match="somebody else"), writing(tmp_path / "2") as folder:
        (folder / MODEL_FILE).write_bytes(b"ours")

    assert b"theirs" == (tmp_path / "2" / MODEL_FILE).read_bytes()


_KILLED = """
import sys
from pathlib import Path
from server.optimize.version import writing
with writing(Path(sys.argv[1])) as folder:
    (folder / "model.onnx").write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_leaves_no_version_and_the_next_one_sweeps(tmp_path):
    """While it was at work, another did not touch its folder."""
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "2")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert b"half\n" == process.stdout.readline()
        with writing(tmp_path / "3") as folder:
            (folder / MODEL_FILE).write_bytes(b"whole")
        assert 2 == len(os.listdir(tmp_path))
        process.send_signal(signal.SIGKILL)
    assert ["3"] == versions_in(tmp_path)

    with writing(tmp_path / "4") as folder:
        (folder / MODEL_FILE).write_bytes(b"whole")

    assert ["3", "4"] == sorted(os.listdir(tmp_path))
