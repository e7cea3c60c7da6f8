"""The whole comparison, with the real servers, in small."""

import json

import psutil
import pytest

from benchmarks import compare
from benchmarks.contenders import CONTENDERS
from benchmarks.works import WORKS


@pytest.mark.long
@pytest.mark.timeout(180)
def test_everyone_is_measured(tmp_path, capsys):
    """Tureen and both baselines answer, the labels are right, the page is written, no process is left."""
    file = tmp_path / "raw.json"
    flags = ["--work", "tiny", "--seconds", "0.3", "--rounds", "1", "--factors", "1"]

    before = psutil.Process().children(recursive=True)  # servers that other tests share

    compare.main([*flags, "--json", str(file), "--docs", str(tmp_path)])

    (one,) = json.loads(file.read_text())["works"]["tiny"]["rounds"]
    assert {"roof", *CONTENDERS} == one.keys()
    assert one["roof"]["rate"] > 0
    for name in CONTENDERS:
        assert {"200"} == one[name]["c32"]["outcomes"].keys()
        assert one[name]["c32"]["figures"]["rate"] > 0
        assert one[name]["c32"]["memory"] > 10_000_000
        assert "x1" in one[name]
    assert "| efficiency, tiny" in capsys.readouterr().out
    assert (tmp_path / "performance.md").exists()
    assert [] == [child for child in psutil.Process().children(recursive=True) if child not in before]


def test_what_is_compared_are_works():
    """Those measured when none is named."""
    assert set(compare.COMPARED) <= WORKS.keys()
