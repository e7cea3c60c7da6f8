"""The search for layers that stay in float, driven by a table in place of a model."""

import pytest

from server.optimize.search import fewest_kept, ranked_by_error

LAYERS = [f"layer{number}" for number in range(20)]


def drive(search, agreement):
    """Run a search; what it chose, and what it tried. `agreement` of a number of layers."""
    tried = []
    try:
        kept = next(search)
        while True:
            tried.append(len(kept))
            kept = search.send(agreement(len(kept)))
    except StopIteration as stop:
        return stop.value, tried


@pytest.mark.parametrize("enough", range(1, 11))
def test_the_fewest_layers_are_found(enough):
    """However many are needed, up to half of them."""
    kept, _ = drive(fewest_kept(LAYERS, 0.99), lambda count: 1.0 if count >= enough else 0.9)

    assert tuple(LAYERS[:enough]) == kept


def test_few_trials_find_them():
    """Each costs a quantisation."""
    _, tried = drive(fewest_kept([f"layer{number}" for number in range(200)], 0.99), lambda count: count / 70)

    assert len(tried) <= 14
    assert len(tried) == len({*tried})


def test_where_half_of_the_layers_are_not_enough_there_is_none():
    """More in float would gain nothing."""
    kept, tried = drive(fewest_kept(LAYERS, 0.99), lambda count: 0.5)

    assert kept is None
    assert 10 == max(tried)


def test_the_layer_that_does_most_harm_comes_first():
    """Of equals the first by name."""
    assert ["b", "a", "c"] == ranked_by_error({"c": 0.1, "a": 0.1, "b": 0.2})
