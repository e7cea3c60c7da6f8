"""Windows against a reference, in simulated streams: the short form of `tests/soak/drift.py`."""

import pytest

from server.drift.reference import Look, reference_of
from server.drift.windows import ALPHA, compare, judge
from tests.photos import photo
from tests.soak.drift import CLASS_SHIFT, SHIFTS, Stream, opened, quiet_alarms, windows_until_alarm


@pytest.fixture(scope="module")
def stream():
    """Give looks at generated pictures, cut and scaled at random."""
    return Stream([opened(photo(seed, 320, 240)) for seed in range(24)], 150, 1, sides=(240, 320))


def test_a_stream_that_has_not_shifted_is_quiet(stream):
    """Its windows alarm no more often than stated."""
    windows = 60

    assert quiet_alarms(stream, windows) <= max(1, windows * ALPHA)


@pytest.mark.parametrize("shift", [*SHIFTS, CLASS_SHIFT])
def test_a_shift_is_seen_within_two_windows(stream, shift):
    """Of 500 images each."""
    assert windows_until_alarm(stream, shift) <= 2


def looks(brightness, label="cat", count=600):
    """Give looks that differ in brightness only, which rises evenly to this."""
    rest = (0.2, -0.5, 0.1, 9.0, 0.4, 3.0, 0.8, 0.5)
    return [Look((brightness * number / count, *rest), label) for number in range(count)]


def test_the_feature_that_shifted_is_named():
    """With its means, and the others are not."""
    verdict = judge(reference_of(looks(1.0), ""), looks(0.7))

    assert ("brightness",) == verdict.reasons
    (shift,) = [one for one in verdict.shifts if one.shifted]
    assert (0.5, 0.35) == (pytest.approx(shift.reference_mean, abs=0.01), pytest.approx(shift.window_mean, abs=0.01))
    assert shift.psi > 0.1


def test_the_class_that_changed_is_named():
    """A new one counts among the others."""
    reference = reference_of([*looks(1.0, "cat"), *looks(1.0, "dog")], "")
    verdict = judge(reference, [*looks(1.0, "cat"), *looks(1.0, "newt", 100)])

    assert ("class",) == verdict.reasons
    assert "before" in verdict.shifts[-1].detail


def test_a_small_shift_shows_in_two_windows():
    """Which is not beyond chance in one of them."""
    reference = reference_of(looks(1.0, count=5000), "")
    window = looks(0.90, count=500)

    assert not judge(reference, window).drifted
    assert judge(reference, window, window).drifted


def test_what_a_model_does_not_give_is_not_compared():
    """A model without a score has none in its reference."""
    nan = float("nan")
    bare = [one._replace(numbers=(*one.numbers[:6], nan, nan, nan)) for one in looks(1.0, "")]

    assert ["brightness", "contrast", "sharpness", "colourfulness", "size", "aspect"] == [
        shift.feature for shift in compare(reference_of(bare, ""), bare)
    ]
