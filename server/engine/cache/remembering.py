"""A stage that answers from the cache in memory what has been answered before."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import anyio

from server.contract.answer import Reply
from server.contract.ids import content_hash
from server.contract.metadata import ModelMetadata
from server.engine.cache.entry import Entry, key_of
from server.engine.cache.memory import MemoryCache
from server.engine.cache.shared import SharedCache
from server.engine.intake import ReuseStats
from server.engine.submission import Identity, Stage, Submission

_AT_ONCE_BYTES = 256 * 1024  # larger uploads are hashed in a thread: the event loop would stand still for a millisecond
_HASHING_AT_MOST = 4


class Remembering:
    """Before the queue: what is answered here is not admitted, and costs no worker anything.

    Only uploads of a size that has been answered before are hashed here. The hash and the SHA-256 of the others are
    computed once they have been answered.
    """

    def __init__(
        self,
        following: Stage,
        cache: MemoryCache,
        model: Callable[[], ModelMetadata | None],
        shared: SharedCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`model` gives the model that answers now. `shared`: the cache beside the queue, for its figures."""
        self._shared = shared
        self._clock = clock
        self._following = following
        self._cache = cache
        self._model = model
        self._hashing = 0
        self._lookups: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    async def submit(self, submission: Submission) -> Reply:
        """As `Stage.submit`."""
        if submission.reuse == "allowed" and (reply := await self._kept(submission)):
            self._lookups["hit"] += 1
            return reply
        reply = await self._following.submit(submission)
        self._lookups[_OUTCOMES[reply.source]] += 1
        if reply.source == "inference" and submission.reuse != "never" and self._cache.max_bytes:
            self._keep(submission, reply)
        return reply

    @property
    def any(self) -> bool:
        """Whether anything is kept."""
        return len(self._cache) > 0

    def remembers(self, size: int, payload: bytes | None, account: str = "") -> bool:
        """As `Intake.remembers`."""
        model = self._model()
        if model is None or not self._cache.has_size(size):
            return False
        if payload is None:
            return True
        return key_of(model, Identity(content_hash(payload), "", "", ("answer",), account)) in self._cache

    async def forget(self, content: str, owner: str = "") -> None:
        """Drop the answers to this content, hex of its XXH3-128. Raises `StoreFailed`."""
        self._cache.forget(content, owner)
        model = self._model()
        if self._shared and model:
            await self._shared.forget(key_of(model, Identity(content, "", "", ("answer",), owner)))

    def stats(self) -> ReuseStats:
        """What was spared, and what is kept."""
        errors = dict(self._errors + (self._shared.errors if self._shared else Counter()))
        return ReuseStats(dict(self._lookups), errors, len(self._cache), self._cache.nbytes)

    async def _kept(self, submission: Submission) -> Reply | None:
        """CORRECTNESS: it awaits nothing, except for a large upload whose hash is known: it is about to be answered."""
        model = self._model()
        if model is None or not self._cache.has_size(len(submission.task.payload)):
            return None
        if submission.deadline <= self._clock():
            return None
        entry = self._cache.get(key_of(model, submission.identity))
        if entry is None:
            return None
        if len(submission.task.payload) > _AT_ONCE_BYTES:
            await anyio.to_thread.run_sync(submission.hash)
        if entry.sha256 != submission.sha256:
            self._errors["mismatch"] += 1
            return None
        return entry.reply(model)

    def _keep(self, submission: Submission, reply: Reply) -> None:
        if len(submission.task.payload) <= _AT_ONCE_BYTES:
            self._put(submission, reply)
        elif self._hashing < _HASHING_AT_MOST:  # beyond that an answer is not kept: nobody waits for hashes
            self._hashing += 1
            hashed = asyncio.get_running_loop().run_in_executor(None, submission.hash)
            hashed.add_done_callback(lambda _: self._put_hashed(submission, reply))

    def _put_hashed(self, submission: Submission, reply: Reply) -> None:
        self._hashing -= 1
        self._put(submission, reply)

    def _put(self, submission: Submission, reply: Reply) -> None:
        entry = Entry(submission.sha256, reply.members, reply.tensors)
        self._cache.put(key_of(reply.model, submission.identity), entry, len(submission.task.payload))


_OUTCOMES = {"inference": "miss", "flight": "coalesced", "cache": "hit"}
