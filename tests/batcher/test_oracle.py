"""The batcher against the oracle: a small part of `make simulate`."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulation.play import Case, play
from benchmarks.simulation.score import score, simulate

MACHINES = st.sampled_from(["resnet", "mobilenet", "tiny", "gpu", "big-alpha"])


@settings(deadline=None, max_examples=12)
@given(
    MACHINES,
    st.floats(0.5, 10.0),
    st.sampled_from(["poisson", "bursts"]),
    st.sampled_from(["same", "sizes", "deadlines", "urgencies", "all"]),
    st.sampled_from(["none", "half-speed", "stalls", "death"]),
    st.integers(0, 1000),
)
def test_every_image_ends_once_and_nobody_beats_the_oracle(machine, factor, pattern, mix, trouble, seed):
    """Whatever comes and goes wrong: the counters add up, and nothing is left."""
    run = play(Case(machine, factor, pattern, mix, trouble, count=200, seed=seed))
    stats, found = run.stats, score(run)

    assert 200 == found.on_time + found.late + found.dropped + found.refused
    assert (stats.accepted, 0, 0) == (found.on_time + found.late + found.dropped, stats.waiting, stats.running)
    assert found.dropped == sum(stats.dropped.values())


@pytest.mark.parametrize("machine", ["resnet", "mobilenet", "tiny"])
def test_the_promise_is_kept_under_overload(machine):
    """At twice the capacity: 99 % of the admitted are in time, and 2 % of the refused would have fitted at most."""
    found = simulate(Case(machine, 2.0, count=2000, seed=1))

    assert found.kept >= 0.99
    assert found.wrongly_refused <= 0.02
    assert found.goodput >= 0.85


# What each took before it was mended stands in its id.
@pytest.mark.parametrize(
    ("case", "kept", "wrong"),
    [
        pytest.param(Case("big-alpha", 2.0), 0.99, 0.05, id="long batches: 97 %"),
        pytest.param(Case("resnet", 10.0), 0.99, 0.02, id="ten times the capacity, just started: 97.9 %"),
        pytest.param(Case("resnet", 2.0, trouble="half-speed"), 0.98, 0.02, id="half the speed: 96.8 %"),
        pytest.param(Case("gpu", 2.0, trouble="half-speed"), 0.99, 0.10, id="half the speed, and back: 17 % wrong"),
        pytest.param(Case("gpu", 2.0, trouble="death"), 0.99, 1.0, id="the only worker dies: 90 %"),
        pytest.param(Case("resnet", 2.0, trouble="uneven"), 0.99, 0.02, id="one slot at half the speed: 98 %"),
        pytest.param(Case("resnet", 0.5, "bursts"), 0.99, 0.06, id="bursts: 9 % wrong"),
    ],
)
def test_what_was_hard_is_kept_too(case, kept, wrong):
    """Each by its share of the admitted in time, and of those turned away wrongly."""
    found = simulate(replace(case, count=2000))

    assert found.kept >= kept
    assert found.wrongly_refused <= wrong
