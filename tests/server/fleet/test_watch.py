"""When a worker that lives is no good any more."""

import pytest

from server.fleet.watch import Silence, Verdict, Vitals, judge

GROWTH = 1000


@pytest.mark.parametrize(
    ("vitals", "verdict"),
    [
        (Vitals(held=0, silent_s=9999, predicted_s=0, grown_bytes=0), Verdict.WELL),  # idle is not hung
        (Vitals(held=1, silent_s=10, predicted_s=0.1, grown_bytes=0), Verdict.WELL),
        (Vitals(held=1, silent_s=10.1, predicted_s=0.1, grown_bytes=0), Verdict.HUNG),
        (Vitals(held=1, silent_s=19, predicted_s=1, grown_bytes=0), Verdict.WELL),  # slow models get longer
        (Vitals(held=1, silent_s=20.1, predicted_s=1, grown_bytes=0), Verdict.HUNG),
        (Vitals(held=0, silent_s=0, predicted_s=0, grown_bytes=GROWTH), Verdict.WELL),
        (Vitals(held=0, silent_s=0, predicted_s=0, grown_bytes=GROWTH + 1), Verdict.BLOATED),
        (Vitals(held=1, silent_s=99, predicted_s=0, grown_bytes=GROWTH + 1), Verdict.HUNG),
    ],
)
def test_judgement(vitals, verdict):
    """Hung after max(10 s, 20 x predicted) of silence with images in hand; bloated past the allowed growth."""
    assert verdict is judge(vitals, GROWTH)


def silences(*looks):
    """What `Silence` says at each look: (now, heard). The first look is at 0."""
    silence = Silence(0.0, 0.0)
    return [silence.look(now, heard) for now, heard in looks]


def test_silence_is_counted_from_the_last_word():
    """Look by look, and again from when the worker was heard."""
    assert [1.0, 2.0, 0.5, 1.5] == silences((1.0, 0.0), (2.0, 0.0), (3.0, 2.5), (4.0, 2.5))


def test_a_process_that_was_stopped_does_not_take_its_workers_for_silent():
    """It slept for 12 s, and finds their messages only after this look: one gap counts for two seconds at most."""
    before, woken, after = silences((1.0, 0.5), (13.0, 0.5), (14.0, 13.1))

    assert [0.5, 2.5] == [before, woken]
    assert after == pytest.approx(0.9)


def test_a_worker_that_stays_silent_after_that_is_found():
    """The gap itself is the only time that is not counted."""
    assert 10.0 < silences((12.0, 0.0), *((float(now), 0.0) for now in range(13, 22)))[-1]
