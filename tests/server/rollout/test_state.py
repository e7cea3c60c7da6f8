"""The life of a rollout, as values."""

import msgspec
import pytest

from server.rollout import state
from server.rollout.evidence import Evidence, Tally
from server.rollout.plan import read_plan
from server.rollout.state import Rollout, RolloutError, begun, decided, with_evidence

PLAN = read_plan('steps = ["shadow 10%", "canary 50%", "canary 100%"]\ndwell = "60s"\nat_least = 10\n')


@pytest.fixture
def rollout() -> Rollout:
    """Give one that begins at second 0."""
    return begun("2", "1", PLAN, 0.0)


def seen(new=0, failures=0, shadow=0):
    """Give evidence with so many runs."""
    return Evidence(Tally(requests=100), Tally(requests=new, failures=failures), Tally(requests=shadow))


def test_it_waits_for_time_and_images(rollout):
    """Both are needed."""
    assert decided(rollout, 100.0) == rollout
    assert "10 more images" == state.awaited(rollout, 100.0)
    enough = with_evidence(rollout, "a", seen(shadow=10))
    assert decided(enough, 30.0) == enough
    assert "30 s" == state.awaited(enough, 30.0)


def test_it_goes_on_when_both_are_there(rollout):
    """The evidence of processes counts together; the next step begins with none."""
    enough = with_evidence(with_evidence(rollout, "a", seen(shadow=4)), "b", seen(shadow=6))
    following = decided(enough, 61.0)

    assert ("canary 50%", 61.0, {}) == (str(following.current), following.since, following.evidence)
    assert 10 == following.before.shadow.requests


def test_the_last_step_promotes(rollout):
    """The new version serves alone."""
    for second in (100.0, 200.0, 300.0):
        rollout = decided(with_evidence(rollout, "a", seen(new=10)), second)

    assert "promoted" == rollout.phase
    assert not rollout.active
    assert ["started: shadow 10%", "next: canary 50%", "next: canary 100%", "promoted"] == [
        event.what for event in rollout.events
    ]


@pytest.mark.parametrize("phase", ["running", "paused"])
def test_a_breach_of_any_process_rolls_back(rollout, phase):
    """At once, and with the reason; also while it is paused."""
    if phase == "paused":
        rollout = state.paused(rollout, 1.0)
    both = with_evidence(with_evidence(rollout, "a", seen(shadow=50)), "b", seen(new=9, failures=9))
    ended = decided(both, 2.0)

    assert "rolled_back" == ended.phase
    assert ended.reason.startswith("at shadow 10%: 9 of 59 images failed")


def test_what_was_seen_before_still_counts(rollout):
    """Failures in shadow speak against the canary, too."""
    following = decided(with_evidence(rollout, "a", seen(shadow=40)), 61.0)
    with_failures = msgspec.structs.replace(following, before=seen(new=5, failures=5))

    assert "rolled_back" == decided(with_failures, 62.0).phase


def test_a_paused_rollout_stays(rollout):
    """However much it has seen, until it is resumed."""
    waiting = with_evidence(state.paused(rollout, 1.0), "a", seen(shadow=10))

    assert decided(waiting, 1000.0) == waiting
    assert 1 == decided(state.resumed(waiting, 1000.0), 1001.0).step


@pytest.mark.parametrize(
    "change",
    [
        lambda rollout: state.resumed(rollout, 1.0),
        lambda rollout: state.paused(state.paused(rollout, 1.0), 1.0),
        lambda rollout: state.rolled_back(state.promoted(rollout, 1.0), 1.0, "late"),
        lambda rollout: state.promoted(state.rolled_back(rollout, 1.0, "bad"), 1.0),
        lambda rollout: begun("1", "1", PLAN, 0.0),
    ],
)
def test_what_does_not_fit_is_refused(rollout, change):
    """Two operators at once, or one who is late."""
    with pytest.raises(RolloutError):
        change(rollout)


def test_what_has_ended_stays(rollout):
    """No evidence revives it."""
    ended = state.rolled_back(rollout, 1.0, "the operator said so")

    assert decided(with_evidence(ended, "a", seen(new=100)), 1000.0).phase == "rolled_back"


def test_it_survives_json(rollout):
    """It lies in a file beside the model."""
    there = with_evidence(rollout, "a", seen(new=3))

    assert there == msgspec.json.decode(msgspec.json.encode(there), type=Rollout)
