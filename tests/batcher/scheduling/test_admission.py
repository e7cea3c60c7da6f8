"""Who may come in: the whole decision as a table of numbers."""

import pytest

from batcher import Policy
from batcher.scheduling.admission import Forecast, Reason, Refusal, Returns, admit, or_unmeetable

NOW = 100.0
POLICY = Policy(max_queue=4, max_queue_bytes=1000)


@pytest.mark.parametrize(
    ("forecast", "size", "deadline", "expected"),
    [
        pytest.param(Forecast(), 0, NOW + 1, None, id="nothing is held"),
        pytest.param(Forecast(), 0, NOW, None, id="due now, nothing measured: tried"),
        pytest.param(
            Forecast(),
            0,
            NOW - 1,
            Refusal(Reason.WOULD_BE_LATE, "the answer would be 1.000 s late", 1.0),
            id="late already",
        ),
        pytest.param(Forecast(waiting=3), 0, NOW + 1, None, id="the last place"),
        pytest.param(
            Forecast(waiting=4, place_s=8.0),
            0,
            NOW + 99,
            Refusal(Reason.QUEUE_FULL, "4 items wait already", 8.0),
            id="count",
        ),
        pytest.param(
            Forecast(waiting=4),
            0,
            NOW + 99,
            Refusal(Reason.QUEUE_FULL, "4 items wait already", 1.0),
            id="count, nothing measured",
        ),
        pytest.param(Forecast(held_bytes=900), 100, NOW + 1, None, id="the last byte"),
        pytest.param(
            Forecast(held_bytes=900, place_s=4.0),
            101,
            NOW + 99,
            Refusal(Reason.QUEUE_FULL, "900 bytes are held already", 4.0),
            id="bytes",
        ),
        pytest.param(
            Forecast(held_bytes=900),
            101,
            NOW + 99,
            Refusal(Reason.QUEUE_FULL, "900 bytes are held already", 1.0),
            id="bytes, unmeasured",
        ),
        pytest.param(Forecast(finish_s=6.0), 0, NOW + 6, None, id="just in time"),
        pytest.param(
            Forecast(finish_s=6.0),
            0,
            NOW + 5,
            Refusal(Reason.WOULD_BE_LATE, "the answer would be 1.000 s late", 1.0),
            id="late",
        ),
        pytest.param(Forecast(finish_s=4.0, margin_s=1.0), 0, NOW + 5, None, id="in time with the margin"),
        pytest.param(
            Forecast(finish_s=4.0, margin_s=2.0),
            0,
            NOW + 5,
            Refusal(Reason.WOULD_BE_LATE, "the answer would be 1.000 s late", 1.0),
            id="in time by less than the margin",
        ),
        pytest.param(
            Forecast(finish_s=4.0, margin_s=1.0, delay_s=1.0), 0, NOW + 6, None, id="in time with the margin and lag"
        ),
        pytest.param(
            Forecast(finish_s=4.0, margin_s=1.0, delay_s=1.0),
            0,
            NOW + 5,
            Refusal(Reason.WOULD_BE_LATE, "the answer would be 1.000 s late", 1.0),
            id="in time, but not seen in time",
        ),
        pytest.param(
            Forecast(finish_s=4.0, induced_lateness_s=0.5),
            0,
            NOW + 5,
            Refusal(Reason.WOULD_BE_LATE, "a job accepted before would be 0.500 s late", 0.5),
            id="in time, at the cost of another's promise",
        ),
        pytest.param(
            Forecast(finish_s=9.0, margin_s=9.0, induced_lateness_s=1.0, idle=True, best_case_s=1.0),
            0,
            NOW + 1,
            None,
            id="an idle executor is tried, whatever was learned",
        ),
        pytest.param(
            Forecast(finish_s=9.0, idle=True, best_case_s=2.0),
            0,
            NOW + 1,
            Refusal(Reason.WOULD_BE_LATE, "the answer would be 1.000 s late", 1.0),
            id="an idle executor that was never so quick",
        ),
        pytest.param(
            Forecast(slots=0), 0, NOW + 99, Refusal(Reason.NO_EXECUTOR, "no executor is ready", 1.0), id="no executor"
        ),
        pytest.param(
            Forecast(slots=0, executor_expected=True, finish_s=9.0), 0, NOW + 9, None, id="an executor in time"
        ),
        pytest.param(
            Forecast(slots=0, executor_expected=True, finish_s=9.0),
            0,
            NOW + 7,
            Refusal(Reason.WOULD_BE_LATE, "the answer would be 2.000 s late", 2.0),
            id="an executor too late",
        ),
        pytest.param(
            Forecast(slots=0, waiting=4),
            0,
            NOW - 1,
            Refusal(Reason.NO_EXECUTOR, "no executor is ready", 1.0),
            id="no executor, first",
        ),
        pytest.param(
            Forecast(waiting=4),
            0,
            NOW - 1,
            Refusal(Reason.QUEUE_FULL, "4 items wait already", 1.0),
            id="count before late",
        ),
    ],
)
def test_admit(forecast, size, deadline, expected):
    """What fits and would be in time comes in; a refusal says what is full, and for how long."""
    assert expected == admit(NOW, forecast, size, deadline, POLICY)


@pytest.mark.parametrize(
    ("best_case_s", "given_s", "expected"),
    [
        pytest.param(2.0, 1.5, Reason.UNMEETABLE, id="even an idle executor is too slow"),
        pytest.param(2.0, 2.0, Reason.WOULD_BE_LATE, id="an idle executor would just do"),
        pytest.param(2.0, -1.0, Reason.WOULD_BE_LATE, id="it is the upload that took too long"),
        pytest.param(0.0, 1.5, Reason.WOULD_BE_LATE, id="nothing measured says so"),
    ],
)
def test_a_deadline_that_no_waiting_can_meet_is_told_apart(best_case_s, given_s, expected):
    """By the best that was ever measured; a busy moment is no proof."""
    late = Refusal(Reason.WOULD_BE_LATE, "late", 1.0)

    assert expected == or_unmeetable(late, given_s, best_case_s).reason


def test_refused_jobs_are_told_different_times():
    """Each comes behind those told before it; what lies in the past is forgotten."""
    first, returns = Returns().book(NOW, 0.5, 0.25)
    second, returns = returns.book(NOW, 0.5, 0.25)
    third, returns = returns.book(NOW + 0.25, 0.5, 0.25)
    later, _ = returns.book(NOW + 9.0, 0.5, 0.25)

    assert (0.5, 0.75, 0.75, 0.5) == (first, second, third, later)


def test_nobody_is_told_to_wait_for_long_behind_others():
    """Those told before may never come back."""
    returns = Returns(NOW + 1000.0)

    wait_s, _ = returns.book(NOW, 2.0, 0.25)

    assert 32.0 == wait_s
