"""A policy's limits: what is accepted, and how a bad one is refused."""

import re

import pytest

from batcher import Policy


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ({"max_batch": 0}, "max_batch must be >= 1, got 0"),
        ({"max_queue": 0}, "max_queue must be >= 1, got 0"),
        ({"max_queue_bytes": -5}, "max_queue_bytes must be >= 1, got -5"),
        ({"max_losses": 0}, "max_losses must be >= 1, got 0"),
        ({"slo_s": 0.0}, "slo_s must be > 0 seconds and finite, got 0.0"),
        ({"slo_s": -1.0}, "slo_s must be > 0 seconds and finite, got -1.0"),
        ({"slo_s": float("inf")}, "slo_s must be > 0 seconds and finite, got inf"),
        ({"slo_s": float("nan")}, "slo_s must be > 0 seconds and finite, got nan"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limit, text):
    """The error names the field, the rule and the value."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Policy(**limit)


def test_the_smallest_limits_are_fine():
    """One of each, and any time above 0, can be served."""
    policy = Policy(max_batch=1, slo_s=1e-9, max_queue=1, max_queue_bytes=1, max_losses=1)

    assert 1 == policy.max_batch


def test_a_policy_does_not_change():
    """A running batcher can rely on it."""
    with pytest.raises(AttributeError):
        Policy().max_batch = 2
