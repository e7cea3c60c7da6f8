"""When to send how many, and who is too late to be sent: a pure function of what it is given. No clock, no tasks.

Work-conserving: an item never waits while there is room for it, with one exception, the linger: at most the
measured fixed cost of a batch, only while items are announced as on their way that would run with it, only
where the profile says that a larger batch is cheaper an item, and never past the latest safe start.

Early drop: an item that ends late even at the fastest pace seen lately is not started. And where the first ones
allow small batches only, they are given up if more of the others are answered in time for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

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
    dues: Sequence[float] = ()
    """When each of them is due, in order."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the runners grant: items the roomiest seat takes now, and how many seats have that much room."""

    items: int
    seats: int
    ready_s: float = 0.0
    """Seconds until that seat has done what it holds, at the least."""
    idle: bool = False
    """Whether that seat holds nothing."""


class Pace(NamedTuple):
    """By what factors batches took longer than the profile says: lately, and at the least; the latter 0 while there
    are too few of them to trust."""

    slowness: float = 1.0
    fastest: float = 0.0


AS_MEASURED = Pace()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the first `count` entries to the roomiest seat."""

    count: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Refuse the first `count` entries: they would be late, or make more others late."""

    count: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Nothing to do before `when`, unless something changes first."""

    when: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do until something changes."""


def decide(
    now: float,
    queue: QueueView,
    room: Room,
    arriving: int,
    policy: Policy,
    profile: Profile,
    pace: Pace = AS_MEASURED,
) -> Dispatch | Drop | WakeAt | Idle:
    """What to do next. `arriving` counts items announced as on their way."""
    if not queue.count or room.items < 1:
        return Idle()
    start = now + room.ready_s
    if pace.fastest and (doomed := _doomed(start + _least_s(room, pace, profile), queue.dues)):
        return Drop(doomed)
    wanted = _wanted(queue.count, room, policy, profile)
    count = _in_time(start, queue, wanted, profile, pace)
    if pace.fastest and count < wanted and (given_up := _early_drop(start, queue, wanted, profile, pace)):
        return Drop(given_up)
    within_reach = min(room.items, _share(queue.count + arriving, room))
    if within_reach > count == queue.count and (latest := latest_start(queue, count, policy, profile)) > now:
        return WakeAt(latest)
    return Dispatch(count)


def latest_start(queue: QueueView, count: int, policy: Policy, profile: Profile) -> float:
    """Until when it pays to wait for one more item; minus infinity if it does not pay at all."""
    if not profile.cheaper_if_larger(count, policy.max_batch):
        return float("-inf")
    one_more = profile.seconds(count + 1) or 0.0
    return min(queue.oldest + profile.fixed_s, queue.earliest_due - one_more)


def _wanted(waiting: int, room: Room, policy: Policy, profile: Profile) -> int:
    """The fair share among equal seats, no more than pays."""
    pays = profile.best_size(policy.max_batch) or policy.max_batch
    return min(room.items, _share(waiting, room), pays)


def _share(items: int, room: Room) -> int:
    return ceil(items / room.seats)


def _in_time(start: float, queue: QueueView, count: int, profile: Profile, pace: Pace) -> int:
    """The largest size up to `count` that ends before the head's deadline, at least one. Halving is close enough:
    the profile is no truer than that, and this runs for every batch."""
    left = queue.head_due - start
    while count > 1 and pace.slowness * (profile.seconds(count) or 0.0) > left:
        count //= 2
    return count


def _least_s(room: Room, pace: Pace, profile: Profile) -> float:
    """The least that a batch can take. Where nobody is harmed by a try, that is the least it ever took: what was
    slow lately may be over, and nothing else would show it."""
    return profile.least_s if room.idle else pace.fastest * (profile.seconds(1) or 0.0)


def _doomed(earliest: float, dues: Sequence[float]) -> int:
    """How many of the first are due before they can be answered."""
    return next((number for number, due in enumerate(dues) if due >= earliest), len(dues))


class _Plan(NamedTuple):
    answered: int
    end: float


def _early_drop(start: float, queue: QueueView, wanted: int, profile: Profile, pace: Pace) -> int:
    """How many of the first to give up, so that more are answered in time. Seconds saved count as answers where
    more wait than are looked at."""
    keep = _played(start, queue.dues, wanted, profile, pace)
    rate = wanted / (pace.slowness * (profile.seconds(wanted) or 1.0)) if queue.count > len(queue.dues) else 0.0
    best, best_gain = 0, 0.0
    number = 1
    while number < len(queue.dues):
        plan = _played(start, queue.dues[number:], wanted, profile, pace)
        gain = plan.answered - keep.answered + rate * (keep.end - plan.end)
        if gain > best_gain:
            best, best_gain = number, gain
        number *= 2
    return best


def _played(start: float, dues: Sequence[float], most: int, profile: Profile, pace: Pace) -> _Plan:
    """What comes of serving these in order on one seat, each batch cut to its head's deadline."""
    number = answered = 0
    while number < len(dues):
        left = QueueView(len(dues) - number, dues[number])
        count = _in_time(start, left, min(most, left.count), profile, pace)
        end = start + pace.slowness * (profile.seconds(count) or 0.0)
        if end > left.head_due:
            number += 1
            continue
        answered += sum(due >= end for due in dues[number : number + count])
        number, start = number + count, end
    return _Plan(answered, start)
