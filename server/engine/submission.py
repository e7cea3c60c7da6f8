"""One task on its way through the stages of an engine."""

import hashlib
from typing import NamedTuple, Protocol

from server.contract.answer import Reply
from server.contract.ids import content_hash
from server.contract.owner import NOBODY, Owner
from server.contract.task import Reuse, Task


class Identity(NamedTuple):
    """What two tasks have in common that get the same answer, as far as hashes can tell.

    CORRECTNESS: the digest is not cryptographic. Whoever finds something by it compares the bytes, or their SHA-256.
    """

    digest: str
    model: str
    version: str
    variant: tuple[str, ...]
    account: str


class Submission:
    """A task, when its answer is due, how urgent it is, which answer will do, and whose it is.

    `deadline` is in seconds of CLOCK_MONOTONIC; `urgency` is 0 (first) to 7. Nothing is shared
    between owners with accounts. Hashes are computed when they are first asked for: a refusal must be cheap.
    """

    # `functools.cached_property` would take a lock each time, as Python 3.11 has it.
    __slots__ = (
        "_digest",
        "_identity",
        "_sha256",
        "deadline",
        "losses",
        "owner",
        "prepare_s",
        "queued",
        "reuse",
        "task",
        "urgency",
    )

    def __init__(
        self,
        task: Task,
        deadline: float,
        urgency: int,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        digest: str = "",
    ) -> None:
        """`digest`: of the payload, where it is known already."""
        self.task = task
        self.prepare_s = task.prepare_s
        """Seconds of a CPU that preparing it is expected to take."""
        self.deadline = deadline
        self.urgency = urgency
        self.reuse = reuse
        self.owner = owner
        self.queued = 0.0
        """When it was admitted to the queue, on CLOCK_MONOTONIC; 0 if it was not, or joined another's inference."""
        self.losses = 0
        """Workers that were lost with the same content before: if any, it runs alone."""
        self._digest = digest
        self._sha256 = b""
        self._identity: Identity | None = None

    @property
    def digest(self) -> str:
        """XXH3-128 of the payload, hex."""
        if not self._digest:
            self._digest = content_hash(self.task.payload)
        return self._digest

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the payload."""
        if not self._sha256:
            self._sha256 = hashlib.sha256(self.task.payload).digest()
        return self._sha256

    @property
    def hashed(self) -> tuple[bool, bool]:
        """Whether `digest` and `sha256` have been computed."""
        return bool(self._digest), bool(self._sha256)

    def hash(self) -> None:
        """Compute the SHA-256 now: for a thread."""
        self.sha256  # noqa: B018

    @property
    def identity(self) -> Identity:
        """What this task has in common with others that get the same answer."""
        if self._identity is None:
            task = self.task
            self._identity = Identity(self.digest, task.model, task.version, task.variant, self.owner.account)
        return self._identity


class Stage(Protocol):
    """One link of the chain: it answers a submission itself, or hands it to the next one.

    CORRECTNESS: a stage awaits nothing before it hands on. The bytes of an upload are counted by the front end until
    `submit` is called, and by the batcher from then on; nothing may run in between.
    """

    async def submit(self, submission: Submission) -> Reply:
        """The reply. Raises the errors of `batcher` and of `server.contract.errors`.

        Cancellation: the submission is taken back wherever it is.
        """
