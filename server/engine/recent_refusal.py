"""What a front may refuse by itself: uploads that have less of a chance than one that was refused a moment ago."""

from typing import Final, NamedTuple

from batcher import Refused

_STANDS_S: Final = 0.01  # for so long a refusal stands for others like it


class RecentRefusal(NamedTuple):
    """A task that the engine refused. Times are seconds of CLOCK_MONOTONIC."""

    error: Refused
    at: float
    deadline: float
    urgency: int
    prepare_s: float
    owner: str
    """Others may have more of their share left."""

    def holds_for(self, now: float, deadline: float, urgency: int, prepare_s: float, owner: str) -> bool:
        """Whether it would refuse this task, too: the owner's, no more urgent, no more time left, and no cheaper."""
        is_recent = now - self.at < _STANDS_S
        time_left = deadline - now <= self.deadline - self.at
        is_alike = owner == self.owner and urgency >= self.urgency and prepare_s >= self.prepare_s
        return is_recent and time_left and is_alike
