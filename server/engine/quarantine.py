"""Content that has brought down its workers, or cost far too much, is not tried again for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable

from batcher import RetriesExhausted
from preprocess.errors import CostlyImage
from server.contract.answer import Reply
from server.contract.errors import ImageRejected, Quarantined
from server.engine.submission import Stage, Submission

_FOR_S = 600.0
_AT_MOST = 1000


class Quarantine:
    """A stage, and the content hashes it keeps out, each with an end. The oldest makes room for the newest."""

    def __init__(self, following: Stage, clock: Callable[[], float] = time.monotonic) -> None:
        self._following = following
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    async def submit(self, submission: Submission) -> Reply:
        """As `Stage.submit`. Raises `Quarantined`, too."""
        if self._until and submission.digest in self:
            raise Quarantined
        try:
            return await self._following.submit(submission)
        except RetriesExhausted:
            self.add(submission.digest)
            raise
        except ImageRejected as error:
            if error.code == CostlyImage.code:
                self.add(submission.digest)
            raise

    def add(self, digest: str) -> None:
        """Keep this content out for ten minutes from now."""
        self._until[digest] = self._clock() + _FOR_S
        self._until.move_to_end(digest)
        if len(self._until) > _AT_MOST:
            self._until.popitem(last=False)

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, digest: str) -> bool:
        until = self._until.get(digest)
        return until is not None and self._clock() < until
