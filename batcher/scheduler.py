"""When to send how many: a pure function of what it is given. No clock, no tasks, no queue walking.

Work-conserving: an item never waits while there is room for it, with one exception, the linger: at most the
measured fixed cost of a batch, only while items are announced as on their way that would run with it, only
where the profile says that a larger batch is cheaper an item, and never past the latest safe start.
"""

from dataclasses import dataclass
from math import ceil

from batcher.policy import Policy
from batcher.profile import Profile


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue as `decide` sees it. Times in seconds on the batcher's clock; an entry is due at its deadline
    less its own work."""

    count: int
    head_due: float = float("inf")
    """When the first in order is due."""
    earliest_due: float = float("inf")
    """When the earliest is due of those that fit in the room; with several urgencies it need not be the head."""
    oldest: float = float("inf")
    """When the one of them arrived that has waited longest."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the runners grant: items the roomiest seat takes now, and how many seats have that much room."""

    items: int
    seats: int


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the first `count` entries to the roomiest seat."""

    count: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Nothing to do before `when`, unless something changes first."""

    when: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do until something changes."""


def decide(
    now: float, queue: QueueView, room: Room, arriving: int, policy: Policy, profile: Profile
) -> Dispatch | WakeAt | Idle:
    """What to do next. `arriving` counts items announced as on their way."""
    if not queue.count or room.items < 1:
        return Idle()
    count = best_batch(now, queue, room, policy, profile)
    within_reach = min(room.items, _share(queue.count + arriving, room))
    if within_reach > count == queue.count and (start := latest_start(queue, count, policy, profile)) > now:
        return WakeAt(start)
    return Dispatch(count)


def best_batch(now: float, queue: QueueView, room: Room, policy: Policy, profile: Profile) -> int:
    """How many to send: the fair share among equal seats, no more than pays, no more than the head's deadline
    allows. At least one."""
    pays = profile.best_size(policy.max_batch) or policy.max_batch
    return _in_time(now, queue, min(room.items, _share(queue.count, room), pays), profile)


def latest_start(queue: QueueView, count: int, policy: Policy, profile: Profile) -> float:
    """Until when it pays to wait for one more item; minus infinity if it does not pay at all."""
    if not profile.cheaper_if_larger(count, policy.max_batch):
        return float("-inf")
    one_more = profile.seconds(count + 1) or 0.0
    return min(queue.oldest + profile.fixed_s, queue.earliest_due - one_more)


def _share(items: int, room: Room) -> int:
    return ceil(items / room.seats)


def _in_time(now: float, queue: QueueView, count: int, profile: Profile) -> int:
    """The largest size up to `count` that ends before the head's deadline. Halving is close enough: the
    profile is no truer than that, and this runs for every batch."""
    left = queue.head_due - now
    while count > 1 and (profile.seconds(count) or 0.0) > left:
        count //= 2
    return count
