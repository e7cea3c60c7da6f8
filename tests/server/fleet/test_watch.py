"""When a worker that lives is no good any more."""

import pytest

from server.fleet.watch import Silence, Verdict, Vitals, judge

GROWTH = 1000


@pytest.mark.parametrize(
    ("vitals", "verdict"),
    [
        (
            Vitals(held=0, silent_s=9999, predicted_s=0, next_word_s=9999, grown_bytes=0),
            Verdict.WELL,
        ),  # idle
        (Vitals(held=1, silent_s=10, predicted_s=0.1, next_word_s=9999, grown_bytes=0), Verdict.WELL),
        (Vitals(held=1, silent_s=10.1, predicted_s=0.1, next_word_s=9999, grown_bytes=0), Verdict.HUNG),
        (
            Vitals(held=1, silent_s=19, predicted_s=1, next_word_s=9999, grown_bytes=0),
            Verdict.WELL,
        ),  # a slow model
        (Vitals(held=1, silent_s=20.1, predicted_s=1, next_word_s=9999, grown_bytes=0), Verdict.HUNG),
        (Vitals(held=0, silent_s=0, predicted_s=0, next_word_s=9999, grown_bytes=GROWTH), Verdict.WELL),
        (Vitals(held=0, silent_s=0, predicted_s=0, next_word_s=9999, grown_bytes=GROWTH + 1), Verdict.BLOATED),
        (Vitals(held=1, silent_s=99, predicted_s=0, next_word_s=9999, grown_bytes=GROWTH + 1), Verdict.HUNG),
        (Vitals(held=0, silent_s=1, predicted_s=0, next_word_s=0.01, grown_bytes=0), Verdict.WELL),
        (Vitals(held=1, silent_s=0.3, predicted_s=0, next_word_s=0.01, grown_bytes=0), Verdict.WELL),
        (Vitals(held=1, silent_s=0.31, predicted_s=0, next_word_s=0.01, grown_bytes=0), Verdict.SILENT),
        (Vitals(held=1, silent_s=2.9, predicted_s=0, next_word_s=1, grown_bytes=0), Verdict.WELL),
        (Vitals(held=1, silent_s=3.1, predicted_s=0, next_word_s=1, grown_bytes=0), Verdict.SILENT),
    ],
)
def test_judgement(vitals, verdict):
    """Hung after max(10 s, 20 x predicted) of silence with images in hand, silent after max(0.3 s, 3 x the time to its
    next word); bloated past the allowed growth."""
    assert verdict is judge(vitals, GROWTH)


def silences(*looks):
    """What `Silence` says at each look: (now, heard). The first look is at 0."""
    silence = Silence(0.0, 0.0)
    return [silence.look(now, heard) for now, heard in looks]


def test_silence_is_counted_from_the_last_word():
    """Look by look, and again from when the worker was heard."""
    looks = silences((0.1, 0.0), (0.2, 0.0), (0.3, 0.25), (0.4, 0.25))

    assert [0.1, 0.2, 0.05, 0.15] == [pytest.approx(silent_s) for silent_s in looks]


def test_a_process_that_was_stopped_does_not_take_its_workers_for_silent():
    """It slept for 12 s, and finds their messages only after this look: one gap counts for 0.2 s at most."""
    before, woken, after = silences((0.1, 0.05), (12.1, 0.05), (12.2, 12.11))

    assert [0.05, 0.25, 0.09] == [pytest.approx(silent_s) for silent_s in (before, woken, after)]


def test_a_worker_that_stays_silent_after_that_is_found():
    """The gap itself is the only time that is not counted."""
    assert 10.0 < silences((12.0, 0.0), *((12.0 + n / 10, 0.0) for n in range(1, 100)))[-1]
