"""What ends a rollout, and what does not."""

import random

import pytest

from server.rollout.evidence import Agreement, Evidence, Pace, Tally
from server.rollout.guards import breach, slowdown
from server.rollout.plan import Guards

GUARDS = Guards()


def tally(requests=1000, **counts):
    """Give a tally with these counts."""
    return Tally(requests=requests, **counts)


def paces(seconds, count=200, size=1):
    """Give paces that scatter around so many seconds."""
    chance, pace = random.Random(count), Pace()
    for _ in range(count):
        pace.add(seconds * chance.lognormvariate(0.0, 0.2))
    return {size: pace}


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (Evidence(tally(), tally(100, failures=10)), "10 of 100 images failed (10.0%); 0.00% of the old version's"),
        (Evidence(tally(0), tally(3, failures=3)), "3 of 3 images failed"),
        (Evidence(tally(), tally(0), tally(100, failures=10)), "10 of 100 images failed"),
        (Evidence(tally(), tally(200, late=40)), "40 of 200 images late or refused (20.0%)"),
        (Evidence(tally(), tally(0), tally(213, not_finite=1)), "output not finite (NaN) for 1 of 213 images, where 0"),
        (
            Evidence(agreement=Agreement(100, 30, example="018f")),
            "30 of 100 answers differ from the old version's (30.0%), where 5.00% are allowed, such as 018f",
        ),
        (
            Evidence(tally(pace=paces(0.01)), tally(0), tally(pace=paces(0.02, 150))),
            "times as long per image as the old version, where 1.5 times is allowed",
        ),
    ],
)
def test_a_breach_is_seen_and_named(evidence, reason):
    """With the counts that it was decided from."""
    assert reason in breach(evidence, GUARDS)


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(),
        Evidence(tally(), tally(100, failures=1)),
        Evidence(tally(failures=100), tally(100, failures=12)),
        Evidence(tally(late=300), tally(200, late=62)),
        Evidence(tally(), tally(0), tally(200, late=200)),
        Evidence(agreement=Agreement(100, 6)),
        Evidence(tally(pace=paces(0.01)), tally(0), tally(pace=paces(0.012, 150))),
        Evidence(tally(pace=paces(0.01)), tally(0), tally(pace=paces(0.05, 20))),
        Evidence(tally(pace=paces(0.01, size=1)), tally(pace=paces(0.05, size=8))),
    ],
    ids=[
        "nothing", "one failure", "both fail", "both late", "shadow is late", "few differ", "a little slower",
        "few images", "other batches",
    ],
)  # fmt: skip
def test_what_may_be_is_no_breach(evidence):
    """Chance, and what the old version does as well."""
    assert "" == breach(evidence, GUARDS)


def test_a_slowdown_has_bounds():
    """The estimate lies within them."""
    seen = slowdown(Evidence(tally(pace=paces(0.01)), tally(pace=paces(0.02, 150))))

    assert seen
    assert seen[1] < seen[0] < seen[2]
    assert seen[0] == pytest.approx(2.0, rel=0.1)


def test_an_image_s_own_fault_is_not_counted():
    """Nor is a client that left."""
    seen = Tally()
    for error in ("ImageRejected", "Quarantined", "CancelledError", "NoExecutor"):
        seen.count(error, "", late=False)

    assert Tally() == seen


def test_faults_are_counted_by_kind():
    """A NaN is a failure, too."""
    seen = Tally()
    seen.count("ModelFailed", "the model's output is not finite", late=False)
    seen.count("RetriesExhausted", "", late=False)
    seen.count("DeadlineExceeded", "", late=True)
    seen.count("", "", late=True)
    seen.count("", "", late=False)

    assert Tally(requests=5, failures=2, not_finite=1, late=2) == seen


def test_evidence_of_processes_adds_up():
    """Paces included."""
    one, other = Evidence(tally(1, pace=paces(0.01, 40))), Evidence(tally(2, pace=paces(0.01, 60)))
    one.merge(other)

    assert 3 == one.old.requests
    assert 100 == one.old.pace[1].count
