"""One task on its way through the stages of an engine."""

from typing import Protocol

from server.contract.answer import Reply
from server.contract.ids import content_hash
from server.contract.owner import NOBODY, Owner
from server.contract.task import Task


class Submission:
    """A task, when its answer is due, how urgent it is, and whose it is.

    `deadline` is in seconds of CLOCK_MONOTONIC; `urgency` is 0 (first) to 7.
    """

    __slots__ = ("_digest", "deadline", "losses", "owner", "task", "urgency")

    def __init__(self, task: Task, deadline: float, urgency: int, owner: Owner = NOBODY) -> None:
        self.owner = owner
        self.task = task
        self.deadline = deadline
        self.urgency = urgency
        self.losses = 0
        """Workers that were lost with the same content before: if any, it runs alone."""
        self._digest = ""

    @property
    def digest(self) -> str:
        """XXH3-128 of the payload, hex. It is computed when it is first asked for, since a refusal must be cheap."""
        if not self._digest:
            self._digest = content_hash(self.task.payload)
        return self._digest


class Stage(Protocol):
    """One link of the chain: it answers a submission itself, or hands it to the next one.

    CORRECTNESS: a stage awaits nothing before it hands on. The bytes of an upload are counted by the front end until
    `submit` is called, and by the batcher from then on; nothing may run in between.
    """

    async def submit(self, submission: Submission) -> Reply:
        """The reply. Raises the errors of `batcher` and of `server.contract.errors`.

        Cancellation: the submission is taken back wherever it is.
        """
