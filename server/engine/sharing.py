"""The stage that gives each owner its share of the workers' time (server/engine/shares.py)."""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from batcher import QueueFull, Refused
from batcher.policy import LEAST_URGENT
from server.contract.answer import Reply
from server.contract.owner import Owner
from server.engine.shares import Shares
from server.engine.submission import Stage, Submission

BEYOND_SHARE: Final = LEAST_URGENT + 1
"""The urgency of images beyond their owner's share: behind every one within."""

_RETRY_S = 1.0


class Room(NamedTuple):
    """How much there may be beyond shares at a time. What is over that is kept for those within theirs."""

    images: int
    size: int
    """Bytes."""


class Sharing:
    """Charges a submission to its owner, and hands it on: with its own urgency, or behind all others."""

    def __init__(
        self,
        following: Stage,
        shares: Shares,
        cost_s: Callable[[float], float],
        clock: Callable[[], float],
        most_beyond: Room,
        beyond: Counter[str],
    ) -> None:
        """`cost_s`: seconds of a worker that an image takes, from those of its decoding. `beyond` counts images beyond
        their owner's share, by outcome: answered, refused, or otherwise ended."""
        self._following = following
        self._shares = shares
        self._cost_s = cost_s
        self._clock = clock
        self._most = most_beyond
        self._images = self._bytes = 0
        self._beyond = beyond

    async def submit(self, submission: Submission) -> Reply:
        """As `Stage.submit`."""
        owner, cost_s = submission.owner, self._cost_s(submission.prepare_s)
        if not self._shares.charge(owner, cost_s, self._clock()):
            reply = await self._submit_beyond(submission)
        else:
            try:
                reply = await self._following.submit(submission)
            except Refused:
                self._shares.give_back(owner, cost_s)
                raise
            except BaseException:
                self._shares.mint(cost_s)  # it may have run: what its owner paid is divided
                raise
        self._shares.mint(cost_s)
        return reply

    async def _submit_beyond(self, submission: Submission) -> Reply:
        """Behind all others, if there is room. CORRECTNESS: nothing is minted for what gets no answer, or credit could
        be made by asking and leaving."""
        size, outcome = len(submission.task.payload), "ended"
        if full := self.full(size):
            self._beyond["refused"] += 1
            raise full
        submission.urgency = BEYOND_SHARE
        self._images += 1
        self._bytes += size
        try:
            reply = await self._following.submit(submission)
            outcome = "answered"
            return reply
        except Refused:
            outcome = "refused"
            raise
        finally:
            self._beyond[outcome] += 1
            self._images -= 1
            self._bytes -= size

    def full(self, size: int) -> QueueFull | None:
        """What refuses an image of `size` bytes beyond its owner's share; None if there is room."""
        if self._images < self._most.images and self._bytes + size <= self._most.size:
            return None
        return QueueFull("as many images wait as may wait beyond their owners' shares", _RETRY_S)

    def urgency(self, owner: Owner, prepare_s: float, asked: int) -> int:
        """The urgency that an image would have if it were submitted now."""
        within = self._shares.is_within(owner, self._cost_s(prepare_s), self._clock())
        return asked if within else BEYOND_SHARE
