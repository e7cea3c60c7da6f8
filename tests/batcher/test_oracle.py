"""The batcher against the oracle: a small part of `make simulate`."""

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
    found = simulate(Case(machine, 2.0, count=4000, seed=1))

    assert found.kept >= 0.99
    assert found.wrongly_refused <= 0.02
    assert found.goodput >= 0.85
