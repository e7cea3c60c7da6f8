"""The last stage: into the queue, through a batch, and back."""

from batcher import Batcher
from server.contract.answer import Reply
from server.contract.task import Task
from server.engine.submission import Submission


class Batching:
    """Hands a submission to the batcher and waits for its reply."""

    def __init__(self, batcher: Batcher[Task, Reply]) -> None:
        self._batcher = batcher

    async def submit(self, submission: Submission) -> Reply:
        """As `Stage.submit`."""
        task = submission.task
        handle = self._batcher.enqueue_nowait(
            task,
            prep_s=task.prepare_s,
            size=len(task.payload),
            deadline=submission.deadline,
            urgency=submission.urgency,
            losses=submission.losses,
        )
        submission.digest  # noqa: B018 - hash now, while the workers are busy with what was queued before
        return await handle.wait()
