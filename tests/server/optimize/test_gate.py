"""The gate: which agreement passes, and what is said where it does not."""

import pytest

from server.optimize.agreement import Agreement
from server.optimize.gate import calibration_count, judge, least_share, too_few, with_calibration
from server.statistics.exact import lower_bound


def seen(agreeing, sources):
    """An agreement of so many source pictures."""
    return Agreement(
        images=sources, sources=sources, agreeing=agreeing, bound=lower_bound(agreeing, sources), same_images=1.0,
        top_k=1.0, correlation=1.0, mean=0.0, largest=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("agreeing", "sources", "least", "outcome"),
    [
        (299, 299, 0.99, "passed"),
        (298, 298, 0.99, "too few"),
        (995, 1000, 0.99, "too few"),
        (996, 1000, 0.99, "passed"),
        (989, 1000, 0.99, "missed"),
        (59, 60, 0.99, "too few"),
        (0, 0, 0.99, "too few"),
        (3, 100, 0.0, "passed"),
    ],
)
def test_the_lower_bound_decides(agreeing, sources, least, outcome):
    """Not the share itself: few pictures show little."""
    assert outcome == judge(seen(agreeing, sources), least).outcome


def test_too_few_pictures_are_told_how_many_are_needed():
    """So many that the same share would pass, and those to calibrate with besides."""
    verdict = judge(seen(50, 50), 0.99)

    assert 299 == verdict.needed
    assert f"{with_calibration(299):,} with those to calibrate" in verdict.reason


@pytest.mark.parametrize("held_out", [1, 20, 299, 399, 400, 401, 5000])
def test_so_many_pictures_leave_as_many_held_out(held_out):
    """What a user is told to bring is enough."""
    sources = with_calibration(held_out)

    assert sources - calibration_count(sources) >= held_out


@pytest.mark.parametrize("least", [0.0, 0.5, 0.9, 0.99])
def test_too_few_pictures_are_refused_before_anything_is_tried(least):
    """One more than too few is enough, and what is offered instead holds."""
    enough = next(count for count in range(1, 1000) if not too_few(count, least))

    assert enough == 1 or "are too few" in too_few(enough - 1, least)
    assert too_few(90, 0.99).endswith("--agree 0.951")
    assert "" == too_few(90, 0.951)


def test_the_share_that_has_to_agree_is_above_the_one_asked_for():
    """By what so many pictures cannot show."""
    assert 0.995 < least_share(1000, 0.99) < 1
    assert least_share(100, 0.99) is None
