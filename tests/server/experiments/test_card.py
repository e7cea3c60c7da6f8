"""`[experiment]` of a card."""

import pytest

from server.experiments.card import ExperimentError, read_experiment


def table(**changes):
    """Give a table that is right, but for these changes."""
    arms = [{"name": "a", "version": "1", "share": 0.9}, {"name": "b", "version": "2", "share": 0.1}]
    return {"name": "tips", "arms": arms, **changes}


def arm(name="b", version="2", share=0.1):
    """Give an arm."""
    return {"name": name, "version": version, "share": share}


def test_an_experiment_is_read():
    """Its arms in order, the control first; its name is its salt unless it has one."""
    experiment = read_experiment(table())

    assert experiment
    assert (("a", 0.9), ("b", 0.1)) == experiment.shares
    assert "tips" == experiment.seed
    assert "2" == experiment.arm("b").version


def test_a_card_need_not_have_one():
    """Most have none."""
    assert read_experiment({}) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Two Words"}, "names are 1 to 64"),
        ({"arms": [arm(share=1.0)]}, "arms must be 2 to 20"),
        ({"arms": [arm(share=0.5), arm(share=0.5)]}, "each with a name of its own"),
        ({"arms": [arm("a", share=0.5), arm(share=0.4)]}, "sum to 1"),
        ({"arms": [arm("a", share=1.5), arm(share=-0.5)]}, "above 0 and below 1"),
        ({"sticky": "moon"}, "sticky"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_mistake_is_named(changes, reason):
    """With the rule that it breaks."""
    with pytest.raises(ExperimentError, match=reason):
        read_experiment(table(**changes))
