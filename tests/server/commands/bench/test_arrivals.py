"""Arrivals are as many as they should be, when they should be, however many senders share them."""

import numpy as np
import pytest

from server.commands.bench.arrivals import due_times


def test_constant_arrivals_are_evenly_spaced():
    """The first at the start, the last before the end."""
    assert [-1.0, -0.5, 0.0, 0.5] == due_times("constant", 2.0, -1.0, 1.0).tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_senders_of_constant_arrivals_take_turns(count):
    """All together are what one would have sent."""
    parts = [due_times("constant", 30.0, -1.0, 2.0, share=(index, count)) for index in range(count)]

    np.testing.assert_allclose(np.sort(np.concatenate(parts)), due_times("constant", 30.0, -1.0, 2.0))


def test_poisson_arrivals_have_the_rate_and_the_scatter():
    """As many as asked for, and gaps whose spread is their mean."""
    times = due_times("poisson", 1000.0, -2.0, 20.0, seed=1)
    gaps = np.diff(times)

    assert abs(len(times) - 22_000) < 5 * 22_000**0.5
    assert pytest.approx(1.0, abs=0.05) == gaps.std() / gaps.mean()
    assert (gaps > 0).all()
    assert times[0] >= -2.0
    assert times[-1] < 20.0


def test_senders_of_poisson_arrivals_are_independent():
    """And have the rate together."""
    one, other = (due_times("poisson", 1000.0, 0.0, 10.0, share=(index, 2), seed=1) for index in range(2))

    assert abs(len(one) + len(other) - 10_000) < 500
    assert not np.isin(one, other).any()


def test_a_seed_is_repeatable():
    """The same arrivals for every server that is compared."""
    first, second, third = (due_times("poisson", 100.0, 0.0, 5.0, seed=seed) for seed in (1, 1, 2))

    assert first.tolist() == second.tolist()
    assert first.tolist() != third.tolist()


@pytest.mark.parametrize("pattern", ["poisson", "constant"])
def test_a_low_rate_may_have_no_arrival(pattern):
    """Nothing is made up, and nothing fails."""
    assert due_times(pattern, 0.001, 0.5, 0.6, share=(1, 2)).tolist() == []
