"""When a child is started again, and when it is given up."""

import pytest

from server.supervise.restarts import SAID_WHY, GiveUp, Restart, RestartPolicy, decide, how_ended

POLICY = RestartPolicy(pause_s=0.1, crashes=2, within_s=30.0, fatal=frozenset({3}))


@pytest.mark.parametrize(
    ("code", "ends", "decision"),
    [
        (1, [5.0], Restart(0.1)),
        (-9, [4.0, 5.0], Restart(0.1)),
        (0, [5.0], Restart(0.1)),  # nobody told it to end
        (1, [3.0, 4.0, 5.0], GiveUp("the web process died 3 times in 30 s")),
        (3, [5.0], SAID_WHY),
    ],
)
def test_decision(code, ends, decision):
    """More deaths than allowed in the time, or an exit code that says that starting is no use: given up."""
    assert decision == decide(POLICY, "web", code, ends)


def test_deaths_of_long_ago_do_not_count():
    """A server that runs for weeks may lose more processes than a crash loop does in half a minute."""
    assert [75.0, 100.0] == POLICY.recent([10.0, 70.0, 75.0], 100.0)


def test_how_a_process_ended_is_said_in_words():
    """By its exit code, or by the signal's name."""
    assert ["exit code 0", "exit code 3", "signal SIGKILL"] == [how_ended(code) for code in (0, 3, -9)]
