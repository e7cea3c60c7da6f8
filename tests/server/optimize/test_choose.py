"""Which form goes to the gate."""

import pytest

from server.optimize.choose import best, saturates, to_the_gate, whole_model, why_none
from server.optimize.paired import Speed


def speed(gain):
    """A speed that matters by its gain only."""
    return Speed(size=1, load_s=1.0, memory=1, prepare_s=1.0, latency_s=1.0, batch=1, batch_s=1 / gain, gain=gain)


def test_the_fastest_that_agrees_enough_comes_first():
    """What is exact has no agreement to show; what hardly gains is left out."""
    speeds = {"graph": speed(1.1), "all": speed(3.0), "most": speed(2.0), "slow": speed(1.04)}

    assert ["most", "graph"] == to_the_gate(speeds, {"all": 0.9, "most": 0.995, "slow": 1.0}, 0.99)


@pytest.mark.parametrize(
    ("speeds", "agreements", "reason"),
    [
        ({"graph": speed(1.0)}, {}, "nothing is at least 1.05 times as fast"),
        ({"all": speed(3.0)}, {"all": 0.9}, "all agrees on 90.00% of the calibration pictures; 99.50% would be needed"),
    ],
)
def test_where_nothing_goes_there_is_a_reason(speeds, agreements, reason):
    """No gain, or no agreement."""
    assert [] == to_the_gate(speeds, agreements, 0.995)
    assert reason in why_none(speeds, agreements, 0.995)


def test_of_equal_agreement_the_smaller_error_is_best():
    """A few pictures hardly tell two methods apart; the error does."""
    assert "b" == best({"a": (0.9, 0.2), "b": (0.9, 0.1), "c": (0.8, 0.0)})


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["avx2"], True),
        (["avx2", "avx_vnni"], False),
        (["avx2", "avx512_vnni"], False),
        (["asimddp"], False),
        ([], False),
    ],
)
def test_only_x86_without_vnni_saturates(flags, expected):
    """There, weights of 7 bits are tried as well."""
    assert expected is saturates(flags)
    assert (2 if expected else 1) == len(whole_model({"entropy": {}}, saturates=expected))
