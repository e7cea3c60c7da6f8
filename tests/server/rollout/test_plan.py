"""Plans: their text, their rules."""

import msgspec
import pytest

from server.rollout.plan import NAMED, PlanError, plan_of, read_plan


def test_a_plan_is_read():
    """Steps in words, with a time and a least number of images for all or for one."""
    plan = read_plan('steps = ["shadow 10%", "canary 0.5% for 2h", "100%"]\ndwell = "5m"\nat_least = 50\n')

    assert ["shadow 10%", "canary 0.5%", "canary 100%"] == [str(step) for step in plan.steps]
    assert [300.0, 7200.0, 300.0] == [step.dwell_s for step in plan.steps]
    assert {50} == {step.at_least for step in plan.steps}


@pytest.mark.parametrize("name", NAMED)
def test_named_plans_are_plans(name):
    """They end with all requests on the new version."""
    assert 1.0 == read_plan(NAMED[name]).steps[-1].share


def test_a_plan_survives_json():
    """It lies in the state beside the model."""
    plan = read_plan(NAMED["standard"])

    assert plan == plan_of(msgspec.json.decode(msgspec.json.encode(plan)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("steps = []", "steps must be 1 to 50"),
        ('steps = ["canary"]', "a step must be such as"),
        ('steps = ["canary 0%"]', "above 0%"),
        ('steps = ["canary 101%"]', "at most 100%"),
        ('steps = ["canary 5% for ever"]', "a time must be such as"),
        ('steps = ["canary 5%"]\ndwell = "99999h"', "at most 30 days"),
        ('steps = ["canary 5%"]\nat_least = -1', "not negative"),
        ('steps = ["canary 5%"]\n[guards]\nerror_rate = 2', "guards.error_rate must be a number from 0 to 1"),
        ('steps = ["canary 5%"]\n[guards]\nslowdown = 0.5', "guards.slowdown must be a factor"),
        ('steps = ["canary 5%"]\n[guards]\nspeed = 1', "speed"),
        ("dwell = 5", "steps"),
        ("steps = [", "Invalid"),
    ],
)
def test_a_mistake_is_named(text, reason):
    """With the rule that it breaks."""
    with pytest.raises(PlanError, match=reason):
        read_plan(text)


@pytest.mark.parametrize("document", [None, {}, {"steps": []}, {"steps": [{"kind": "big-bang"}]}])
def test_a_client_s_plan_is_checked(document):
    """It came over HTTP."""
    with pytest.raises(PlanError):
        plan_of(document)
