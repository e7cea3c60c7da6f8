"""Several batchers on the same cores: no core idles while any of them has work, and none is starved.

Each executor that holds jobs uses cores. Once all are in use, a batcher gets its next ones by its turn
(`batcher.scheduling.turns`). Whoever is not first lets its executors run dry, until it is first again.
"""

import math
from collections.abc import Callable
from typing import Protocol

from batcher.job import Order
from batcher.scheduling.turns import Claim, cores_for, is_before

_MEMORY_S = 0.25  # over which the use of cores is averaged


class Member(Protocol):
    """What a seat needs of its batcher."""

    @property
    def next_order(self) -> Order | None:
        """The place of the job it would send next; None while none waits."""

    @property
    def busy(self) -> int:
        """How many of its executors hold jobs."""

    def wake(self) -> None:
        """Its turn may have come."""


class Turns:
    """The cores, and who shares them. Bound to one event loop; its whole state is the seats."""

    def __init__(self, cores: int, clock: Callable[[], float]) -> None:
        self.cores = cores
        self._clock = clock
        self._seats: list[Seat] = []

    def join(self, member: Member, share: float, each: int) -> "Seat":
        """A seat for a batcher, each of whose executors uses `each` cores."""
        seat = Seat(self, member, share, each)
        self._seats.append(seat)
        return seat

    def leave(self, seat: "Seat") -> None:
        """A batcher has ended; once is enough."""
        if seat in self._seats:
            self._seats.remove(seat)
            self.pass_on(seat)

    @property
    def free(self) -> int:
        """Cores that nobody uses."""
        return self.cores - sum(seat.busy for seat in self._seats)

    def now(self) -> float:
        """Seconds on the batchers' clock."""
        return self._clock()

    def others(self, seat: "Seat") -> list["Seat"]:
        """All seats but this one."""
        return [other for other in self._seats if other is not seat]

    def pass_on(self, seat: "Seat") -> None:
        """This batcher has done what it could: wake the first of those that wait for a core, if there is one."""
        waiting = [other for other in self.others(seat) if other.is_blocked]
        if waiting and self.free > 0:
            first = waiting[0]
            for other in waiting[1:]:
                if is_before(other.claim, first.claim):
                    first = other
            first.member.wake()


class Seat:
    """One batcher's part. `is_blocked`: it has jobs, and an executor for them, and it is not its turn.

    The whole state: that, what it has used, and how busy the others were of late.
    """

    def __init__(self, turns: Turns, member: Member, share: float, each: int) -> None:
        self.member = member
        self.share = share
        self.is_blocked = False
        self._turns = turns
        self._each = each
        self._used_s = 0.0
        self._others_busy = 0.0
        self._looked = -math.inf

    @property
    def busy(self) -> int:
        """Cores that it uses."""
        return self._each * self.member.busy

    @property
    def claim(self) -> Claim:
        """What it wants next."""
        urgency, deadline, _ = self.member.next_order or (math.inf, math.inf, 0)
        return Claim(int(min(urgency, 1 << 30)), deadline, self._used_s, self.share)

    def begin(self) -> None:
        """Its batcher decides anew. One that had nothing to do has saved nothing up meanwhile."""
        was_idle = not (self.is_blocked or self.member.busy)
        self.is_blocked = False
        if was_idle:
            active = [other for other in self._turns.others(self) if other.member.busy or other.is_blocked]
            self._used_s = max(self._used_s, min((other._used_s for other in active), default=0.0))

    @property
    def may_extend(self) -> bool:
        """Whether executors that hold jobs may be sent more: nobody who waits for a core goes before."""
        waiting = [other for other in self._turns.others(self) if other.is_blocked]
        return not waiting or not any(is_before(other.claim, self.claim) for other in waiting)

    @property
    def may_start(self) -> int:
        """How many executors that hold nothing may be sent jobs."""
        free = self._turns.free
        if free < self._each and free < self._turns.cores:
            return 0
        return max(1, free // self._each) if self.may_extend else 0

    def use(self, seconds: float) -> None:
        """It has sent work of so many seconds of an executor."""
        self._used_s += seconds * self._each / self.share

    def rest(self, is_blocked: bool) -> None:
        """It has sent what it could."""
        self.is_blocked = is_blocked
        self._turns.pass_on(self)

    def leave(self) -> None:
        """Its batcher has ended."""
        self._turns.leave(self)

    def executors(self, there: int) -> float:
        """How many of its executors, of those that are there, it can count on to run at a time."""
        others = self._turns.others(self)
        if not others:
            return there
        now, busy = self._turns.now(), sum(other.busy for other in others)
        weight = 1.0 if self._looked == -math.inf else 1.0 - math.exp((self._looked - now) / _MEMORY_S)
        self._others_busy += (busy - self._others_busy) * weight
        self._looked = now
        active = [other.share for other in others if other.member.busy or other.is_blocked]
        cores = cores_for(self.share, [self.share, *active], self._turns.cores, self._others_busy)
        return min(there, max(cores / self._each, 1e-3))
