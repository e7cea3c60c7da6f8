"""When a worker that lives is no good any more."""

import pytest

from server.fleet.pool import Death
from server.fleet.watch import Verdict, Vitals, judge

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
