"""What a refusal says of the next upload."""

import pytest

from batcher import WouldBeLate
from server.engine.recent_refusal import RecentRefusal

RECENT = RecentRefusal(WouldBeLate("", 1.0), at=10.0, deadline=11.0, urgency=3, prepare_s=0.002, owner="a")


@pytest.mark.parametrize(
    ("now", "deadline", "urgency", "prepare_s", "owner", "holds"),
    [
        (10.001, 11.0, 3, 0.002, "a", True),
        (10.001, 11.001, 3, 0.002, "a", True),  # the same time left
        (10.001, 10.5, 7, 0.02, "a", True),
        (10.02, 11.0, 3, 0.002, "a", False),  # too long ago
        (10.001, 12.0, 3, 0.002, "a", False),
        (10.001, 11.0, 2, 0.002, "a", False),
        (10.001, 11.0, 3, 0.001, "a", False),
        (10.001, 11.0, 3, 0.002, "b", False),
    ],
)
def test_it_holds_for_tasks_with_less_of_a_chance(now, deadline, urgency, prepare_s, owner, holds):
    """For a moment, and for none that might be admitted."""
    assert holds == RECENT.holds_for(now, deadline, urgency, prepare_s, owner)
