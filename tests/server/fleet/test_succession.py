"""What follows the end of a worker."""

import pytest

from server.fleet.succession import Death, GiveUp, Retry, after, expected_ready

CRASH = Death(was_ready=True, held=0, lived_s=1, reason="crash")
UNBORN = Death(was_ready=False, held=0, lived_s=1, reason="crash")
LOAD = Death(was_ready=False, held=0, lived_s=0, reason="load", detail="no such file: model.onnx")


@pytest.mark.parametrize(
    ("death", "futile"),
    [
        (Death(was_ready=False, held=0, lived_s=99, reason="crash"), True),
        (Death(was_ready=True, held=0, lived_s=1, reason="crash"), True),
        (Death(was_ready=True, held=0, lived_s=31, reason="crash"), False),
        (Death(was_ready=True, held=1, lived_s=1, reason="crash"), False),  # it may have died of its image
        (Death(was_ready=True, held=0, lived_s=1, reason="memory"), False),
        (Death(was_ready=True, held=3, lived_s=1, reason="hang"), False),
    ],
)
def test_futile_lives_are_those_no_image_is_to_blame_for(death, futile):
    """Only they count towards giving up."""
    assert futile is death.futile


@pytest.mark.parametrize(
    ("death", "futile", "others", "step"),
    [
        (CRASH, 0, [], Retry(0.05)),
        (CRASH, 1, [], Retry(0.1)),
        (CRASH, 4, [], Retry(0.8)),
        (CRASH, 5, [], GiveUp("5 workers in a row died soon after they were ready, with nothing in hand")),
        (UNBORN, 5, [], GiveUp("5 workers in a row died before they were ready")),
        (LOAD, 5, [], GiveUp("no such file: model.onnx")),
        (LOAD, 5, [0], Retry(1.6)),  # the other one serves
        (LOAD, 9, [4], Retry(25.6)),  # it is being tried
        (LOAD, 10**6, [0], Retry(30.0)),
        (LOAD, 9, [5], GiveUp("no such file: model.onnx")),
    ],
)
def test_the_server_goes_on_as_long_as_one_worker_may_serve(death, futile, others, step):
    """Pauses double while lives are futile; five in a row at every place, and nothing can be served any more."""
    assert step == after(death, futile, others)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (0.0, 1.0),  # as long as the last one took
        (1.0, 1.0),
        (1.01, pytest.approx(1.11)),
        (1.5, 2.0),  # half a second late: as long again
        (5.0, 9.0),
        (5.1, None),  # four starts late
    ],
)
def test_a_successor_that_is_late_is_expected_later_and_then_not_at_all(now, expected):
    """So images that cannot wait for it are refused, and once it hangs all are."""
    assert expected == expected_ready(now, due=1.0, start_s=1.0)


def test_a_quick_start_may_be_a_moment_late():
    """On a busy machine, for which two seconds are allowed."""
    assert (2.0, None) == (expected_ready(1.0, due=0.0, start_s=0.1), expected_ready(2.1, due=0.0, start_s=0.1))
