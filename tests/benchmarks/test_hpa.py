"""The autoscaler of the shipped manifest, by Kubernetes' formula, over the recorded metrics of a real server."""

import pytest

from benchmarks.hpa.__main__ import FLAP_S, MANIFEST, PLOT, TRAFFIC, runs, table
from benchmarks.hpa.formula import Autoscaler, read_spec, recommended
from benchmarks.hpa.recorded import read
from tests.test_words import ROOT


@pytest.fixture(scope="module")
def found():
    return runs()


@pytest.mark.parametrize(
    ("replicas", "values", "silent", "wanted"),
    [
        (4, [0.6] * 4, 0, 4),
        (4, [0.65] * 4, 0, 4),  # within a tenth
        (4, [0.7] * 4, 0, 5),
        (4, [1.2] * 4, 0, 8),
        (4, [0.2] * 4, 0, 2),
        (8, [1.2] * 4, 4, 8),  # those that start are idle, it is hoped: enough are on their way
        (8, [3.0] * 4, 4, 20),
        (8, [0.1] * 6, 2, 3),  # and on target when others idle
        (4, [], 4, 4),
    ],
)
def test_the_ratio_decides(replicas, values, silent, wanted):
    """Tolerance, rounding up, and pods that give no metric, as in Kubernetes."""
    assert wanted == recommended(replicas, values, silent, 0.6)


def test_it_goes_up_at_once_and_down_after_five_minutes():
    """By at most as many pods as the policies allow."""
    scaler = Autoscaler(read_spec(MANIFEST))

    assert 8 == scaler.decide(0.0, 4, [6.0] * 4, 0)  # four, or 100 %
    assert [8] * 20 == [scaler.decide(15.0 * step, 8, [0.01] * 8, 0) for step in range(1, 21)]
    assert 6 == scaler.decide(315.0, 8, [0.01] * 8, 0)  # a quarter per minute


@pytest.mark.parametrize("name", TRAFFIC)
def test_admitted_images_keep_the_promise_and_nothing_flaps(found, name):
    """Under a daily curve, a spike and a slow ramp."""
    run = found[name]

    assert run.kept_share >= 0.99
    assert 0 == run.reversals(FLAP_S)
    assert run.refused_share <= {"spike": 0.05}.get(name, 0.001)


def test_the_document_is_of_these_runs(found):
    """As `python -m benchmarks.hpa` writes it."""
    assert table(found) in (ROOT / "deploy" / "README.md").read_text()
    assert PLOT.exists()
    assert read().points[-1].offered > 2
