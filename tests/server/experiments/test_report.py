"""What an experiment has found."""

import random

import pytest

from server.commands.ab.show import as_page, as_text
from server.experiments.exposures import Exposure, measured, units
from server.experiments.report import report

SHARES = (("control", 0.5), ("longer", 0.5))


def exposures(clients, rates, images=2, days=5, seed=1):
    """Give images of so many clients per arm, each with an outcome at the rate of its arm."""
    chance = random.Random(seed)
    for arm, rate in rates.items():
        for number in range(clients):
            for _ in range(images):
                outcome = {"ok": float(chance.random() < rate)}
                yield Exposure(arm, f"{arm}-{number}", f"2026-11-{1 + number % days:02d}", outcome)


def made(shown, uplift=0.05, absent=None):
    """Give the report of these images."""
    found, crossed = units(shown)
    return report("tips", SHARES, found, measured(found, "ok", absent), "ok", uplift=uplift, crossed=crossed)


def test_a_large_difference_is_found():
    """With bounds that leave 0 out, on each of the last days."""
    (found,) = made(exposures(3000, {"control": 0.2, "longer": 0.3})).comparisons

    assert "higher" == found.verdict
    assert 0 < found.low < found.estimate < found.high
    assert 5 == len(found.looks)


def test_a_harmful_arm_is_found():
    """The difference is the arm less the control."""
    assert "lower" == made(exposures(3000, {"control": 0.3, "longer": 0.2})).comparisons[0].verdict


def test_no_difference_tells_how_long_still():
    """By the pace so far, in clients with an outcome."""
    found = made(exposures(1000, {"control": 0.2, "longer": 0.2})).comparisons[0]

    assert "no difference yet" == found.verdict
    assert found.units_needed > 2000
    assert found.days_left == pytest.approx((found.units_needed - 2000) / (2000 / 5))


def test_clients_are_counted_once():
    """More images of the same clients are not more clients."""
    few, many = (made(exposures(500, {"control": 0.2, "longer": 0.2}, images)) for images in (1, 20))

    assert [500, 500] == [arm.units for arm in few.arms] == [arm.units for arm in many.arms]


def test_uneven_arms_are_no_finding():
    """Whatever the difference looks like."""
    shown = [*exposures(1000, {"control": 0.2}), *exposures(700, {"longer": 0.4})]
    found = made(shown)

    assert found.mismatched
    assert "Sample-ratio mismatch" in as_text(found)
    assert "Sample-ratio mismatch" in as_page(found)


def test_clients_in_several_arms_are_left_out():
    """And counted: shares or salt were changed."""
    shown = [Exposure("control", "x", "2026-11-01", {}), Exposure("longer", "x", "2026-11-02", {})]
    found = made([*shown, *exposures(200, {"control": 0.2, "longer": 0.2})])

    assert 1 == found.crossed
    assert "1 clients were in several arms" in as_text(found)


def test_clients_without_an_outcome_count_as_told():
    """Left out, or with a value."""
    silent = [Exposure("control", f"silent-{number}", "2026-11-01", {}) for number in range(100)]
    shown = [*silent, *exposures(100, {"control": 1.0, "longer": 1.0})]

    assert 1.0 == made(shown).arms[0].mean
    assert 0.5 == made(shown, absent=0.0).arms[0].mean


def test_an_empty_store_is_no_error():
    """There is nothing to say yet."""
    found = made([])

    assert [0, 0] == [arm.units for arm in found.arms]
    assert not found.mismatched
    assert "too few" in as_text(found)


def test_more_arms_are_compared_more_strictly():
    """Bonferroni: the bounds of each are wider."""
    shown = list(exposures(3000, {"control": 0.2, "longer": 0.25}))
    found, _ = units(shown)
    numbers = measured(found, "ok", None)
    two = report("tips", SHARES, found, numbers, "ok", uplift=0.05).comparisons[0]
    three = report("tips", (*SHARES, ("third", 0.5)), found, numbers, "ok", uplift=0.05).comparisons[0]

    assert three.high - three.low > two.high - two.low
