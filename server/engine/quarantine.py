"""Content that has brought down its workers, or cost far too much, is not tried again for a while.

A worker that is lost takes a whole batch with it, and any image of it may have been the cause: each is a suspect. A
suspect that is sent again runs alone. If it is answered, it was not the cause; if its worker is lost once more, it was,
and is kept out. What workers were lost with is known by content, since the client that waited may have been told by
then that its deadline has passed: a worker that hangs is killed only after ten seconds.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batcher import RetriesExhausted
from preprocess.errors import CostlyImage
from server.contract.answer import Reply
from server.contract.errors import ImageRejected, ModelFailed, Quarantined, TensorRejected
from server.contract.ids import content_hash
from server.contract.task import Task
from server.engine.submission import Stage, Submission

_FOR_S = 600.0
_AT_MOST = 1000
_GUILTY = 2  # workers lost, the second with nothing else in hand


@dataclass(frozen=True, slots=True)
class _Record:
    losses: int
    until: float


class Quarantine:
    """A stage. Its state: the content hashes that workers were lost with, each for ten minutes from the last loss. The
    oldest makes room for the newest."""

    def __init__(self, following: Stage, clock: Callable[[], float] = time.monotonic) -> None:
        self._following = following
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()

    async def submit(self, submission: Submission) -> Reply:
        """As `Stage.submit`. Raises `Quarantined`, too."""
        if self._records:
            submission.losses = self.losses(submission.digest)
            if submission.losses >= _GUILTY:
                raise Quarantined
        try:
            reply = await self._following.submit(submission)
        except RetriesExhausted:
            self._note(submission.digest, _GUILTY)
            raise
        except (ImageRejected, TensorRejected, ModelFailed) as error:
            if isinstance(error, ImageRejected) and error.code == CostlyImage.code:
                self._note(submission.digest, _GUILTY)
            else:
                self._clear(submission)
            raise
        self._clear(submission)
        return reply

    def lost(self, tasks: Sequence[Task]) -> None:
        """A worker was lost while it had these tasks, some of which it may not have begun."""
        for task in tasks:
            digest = content_hash(task.payload)
            known = self.losses(digest)
            self._note(digest, known + 1 if len(tasks) == 1 else max(known, 1))

    def losses(self, digest: str) -> int:
        """How many workers speak against this content: 0 none, 1 it is a suspect, 2 it is kept out."""
        record = self._records.get(digest)
        return record.losses if record and self._clock() < record.until else 0

    def _note(self, digest: str, losses: int) -> None:
        self._records[digest] = _Record(min(losses, _GUILTY), self._clock() + _FOR_S)
        self._records.move_to_end(digest)
        if len(self._records) > _AT_MOST:
            self._records.popitem(last=False)

    def _clear(self, submission: Submission) -> None:
        """A worker has answered for this content, and lives."""
        if self._records:
            self._records.pop(submission.digest, None)
