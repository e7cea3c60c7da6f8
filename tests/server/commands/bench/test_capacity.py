"""The search finds what is there, tries nothing for ever, and names nothing it has not confirmed."""

import pytest

from server.commands.bench.capacity import search


def found(keeps, first=100.0):
    """The capacity for a server that keeps its promise where `keeps(rate)`, and all rates tried."""
    steps, tried = search(first), []
    rate = next(steps)
    try:
        while True:
            tried.append(rate)
            assert len(tried) < 100
            rate = steps.send(keeps(rate))
    except StopIteration as stop:
        return stop.value, tried


@pytest.mark.parametrize("capacity", [10.0, 50.0, 99.0, 100.0, 101.0, 400.0, 5000.0])
def test_it_comes_within_five_per_cent(capacity):
    """From above and from below, near and far."""
    rate, tried = found(lambda one: one <= capacity)

    assert capacity / 1.05 <= rate <= capacity
    assert len(tried) <= 21


def test_the_capacity_was_kept_twice():
    """A rate that was lucky once is not called the capacity."""
    lucky = {}

    def keeps(rate):
        lucky[rate] = lucky.get(rate, 0) + 1
        return rate <= 100 or (rate <= 150 and lucky[rate] == 1)

    rate, tried = found(keeps)

    assert rate <= 100
    assert tried[-1] == rate


def test_a_server_that_keeps_nothing_has_none():
    """Instead of a very small number."""
    rate, tried = found(lambda _: False)

    assert rate is None
    assert len(tried) < 10


def test_a_server_that_keeps_everything_is_not_searched_for_ever():
    """It ends at what was kept."""
    rate, tried = found(lambda _: True)

    assert rate == tried[-1] == max(tried)


def test_luck_without_any_capacity_is_none():
    """Each rate is kept once, and never again."""
    seen = set()

    def keeps(rate):
        new = rate not in seen
        seen.add(rate)
        return new and rate <= 100

    assert found(keeps)[0] is None or found(keeps)[0] < 100
