"""A cache that replicas share, asked beside the queue: it may save an inference, and can cost nothing but a miss.

An image is queued first; while it waits, or runs, the cache is asked, and an answer that comes in time takes the image
out of the queue. So no answer waits for the cache, however slow, and no failure of it is anybody's error.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from anyio.abc import TaskGroup

from server.contract.answer import Reply
from server.contract.metadata import ModelMetadata
from server.engine.cache.entry import Entry, Key, key_of
from server.engine.cache.record import Garbage, Mismatch, dumps, loads, name_of
from server.engine.flight import Flight
from server.engine.submission import Submission

_AT_MOST = 256  # questions and entries under way: more are not asked, not kept


class StoreFailed(Exception):
    """No answer from the store. `reason`: timeout, unreachable, or open (not asked, since it failed lately)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Store(Protocol):
    """Bytes by name, elsewhere. Its methods raise `StoreFailed` and nothing else, within a short time."""

    async def get(self, name: str) -> bytes | None:
        """What is kept there."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep this for as long as such things are kept."""

    async def drop(self, names: list[str]) -> None:
        """Keep nothing there any more."""


class SharedCache:
    """A `flight.Beside`. The whole state: what is under way, and the errors by reason."""

    def __init__(self, store: Store, tasks: TaskGroup, model: Callable[[], ModelMetadata | None]) -> None:
        self.errors: Counter[str] = Counter()
        self._store = store
        self._tasks = tasks
        self._model = model
        self._under_way = 0

    def ask(self, flight: Flight, submission: Submission) -> None:
        """As `Beside.ask`."""
        model = self._model()
        if model and self._room():
            self._tasks.start_soon(self._ask, flight, submission, model)

    def tell(self, submission: Submission, reply: Reply) -> None:
        """As `Beside.tell`."""
        if self._room():
            self._tasks.start_soon(self._tell, submission, reply)

    async def forget(self, key: Key) -> None:
        """Drop what is kept there. Raises `StoreFailed`."""
        await self._store.drop([name_of(key)])

    def _room(self) -> bool:
        if self._under_way >= _AT_MOST:
            self.errors["full"] += 1
            return False
        self._under_way += 1
        return True

    async def _ask(self, flight: Flight, submission: Submission, model: ModelMetadata) -> None:
        key = key_of(model, submission.identity)
        try:
            data = None if flight.ended else await self._store.get(name_of(key))
            entry = loads(data, key) if data and not flight.ended else None
        except StoreFailed as error:
            self.errors[error.reason] += 1
        except Garbage:
            self.errors["garbage"] += 1
        except Mismatch:
            self.errors["mismatch"] += 1
        else:
            self._use(entry, flight, submission, model)
        finally:
            self._under_way -= 1

    def _use(self, entry: Entry | None, flight: Flight, submission: Submission, model: ModelMetadata) -> None:
        if entry is None or flight.ended:
            return
        if entry.sha256 != submission.sha256:
            self.errors["mismatch"] += 1
            return
        flight.answer(entry.reply(model))

    async def _tell(self, submission: Submission, reply: Reply) -> None:
        key = key_of(reply.model, submission.identity)
        try:
            await self._store.put(name_of(key), dumps(key, Entry(submission.sha256, reply.members, reply.tensors)))
        except StoreFailed as error:
            self.errors[error.reason] += 1
        finally:
            self._under_way -= 1
