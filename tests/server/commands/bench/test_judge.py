"""A run that is no measurement is never a figure; a promise is kept or missed by what was offered."""

import pytest

from server.commands.bench.judge import Verdict, judge, overall
from server.commands.bench.records import Outcome
from server.commands.bench.stats import summarize
from tests.server.commands.bench.test_stats import rows


def judged(*given, cpu_s=(0.1,), quantile=0.99):
    return judge(summarize(rows(*given), 1.0, 0.5), cpu_s, slo_s=0.5, quantile=quantile)


GOOD, LATE, REFUSED = (0, 0.1, 200), (0, 0.6, 200), (0, 0.01, 503)


def test_kept():
    """99 of 100 are 99 %."""
    assert Verdict.KEPT is judged(*[GOOD] * 99, LATE).verdict


@pytest.mark.parametrize("bad", [LATE, REFUSED, (0, 9, Outcome.NO_ANSWER), (0, 0, Outcome.RESET), (0, 0.1, 500)])
def test_missed(bad):
    """A refusal, an error or silence is no answer in time."""
    judgement = judged(*[GOOD] * 98, bad, bad)

    assert Verdict.MISSED is judgement.verdict
    assert ["98.00% were good; the promise is 99% within 500 ms"] == judgement.reasons


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((0, 0.1, Outcome.WRONG), "1 of the answers are wrong"),
        ((0, 0.1, Outcome.MALFORMED), "1 of the answers are not HTTP"),
        ((0, 0.1, 415), "1 requests were answered 415: pictures or headers are not what the server takes"),
    ],
)
def test_one_wrong_answer_spoils_the_run(bad, reason):
    """However fast the others were."""
    judgement = judged(*[GOOD] * 999, bad)

    assert (Verdict.INVALID, [reason]) == (judgement.verdict, judgement.reasons)


def test_answers_that_needed_no_inference_are_no_measurement():
    """One in a hundred may be; unless that is what is to be measured."""
    reused = (0, 0.1, 200, {"reused": 1})
    summary = summarize(rows(*[GOOD] * 97, *[reused] * 2), 1.0, 0.5)
    verdicts = [
        judge(summary, (0.1,), slo_s=0.5, quantile=0.9, allow_cached=allowed).verdict for allowed in (False, True)
    ]

    assert [Verdict.INVALID, Verdict.KEPT] == verdicts
    assert Verdict.KEPT is judged(*[GOOD] * 199, reused).verdict


@pytest.mark.parametrize("status", [408, 429])
def test_a_server_that_limits_is_measured(status):
    """Too many is an answer to a load."""
    assert Verdict.MISSED is judged(GOOD, (0, 0.1, status)).verdict


def test_a_saturated_client_measures_itself():
    """In CPU, or in how late it is; more processes might help."""
    busy = judged(GOOD, cpu_s=(0.2, 0.95))
    late = judged((0, 0.3, 200, {"lag": 0.2}))

    assert [(Verdict.INVALID, True)] * 2 == [(one.verdict, one.saturated) for one in (busy, late)]


def test_a_client_that_had_to_wait_is_told_from_one_that_had_no_cpu_left():
    """The first may only have shared its machine with the server."""
    late = (0, 0.3, 200, {"lag": 0.2})

    assert [True, False, False] == [one.late for one in (judged(late), judged(late, cpu_s=(0.95,)), judged(GOOD))]


def test_all_refused_is_a_promise_missed():
    """Every one of them was answered, and none of them was good."""
    assert Verdict.MISSED is judged(*[REFUSED] * 9).verdict


def test_nothing_answered_is_no_measurement():
    """But a search may take it for a rate far too high."""
    silent, wrong, nothing = judged((0, 9, Outcome.NO_ANSWER)), judged((0, 0.1, 404)), judged()

    assert [Verdict.INVALID] * 3 == [one.verdict for one in (silent, wrong, nothing)]
    assert [True, False, False] == [one.silent for one in (silent, wrong, nothing)]


def test_the_worst_of_several_counts():
    """One run without figures, and the whole has no verdict."""
    assert Verdict.INVALID is overall([Verdict.KEPT, Verdict.INVALID, Verdict.MISSED])
    assert Verdict.MISSED is overall([Verdict.KEPT, Verdict.MISSED])


def test_exit_codes():
    """What scripts rely on."""
    assert (0, 1, 2) == (Verdict.KEPT.value, Verdict.MISSED.value, Verdict.INVALID.value)
