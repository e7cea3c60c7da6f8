"""What clients have put under ids of their own, so that the same image sent again is answered as before."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from server.cleanup.item import Record, decode_record
from server.cleanup.reading import Found, Get, ask
from server.contract.answer import ModelRef
from server.contract.ids import content_hash
from server.web.errors import RequestError
from server.web.images import Answered
from server.web.keeping import Keeping

_MOST_BYTES = 16_000_000  # of answers that are remembered here; the store knows the others


class _Answer(NamedTuple):
    answered: Answered
    account: str


class Sent:
    """The whole state: the last answers by id, the bytes they take, and what is under way."""

    def __init__(self, keeping: Keeping | None) -> None:
        """`keeping`: None where nothing is kept: then only what is remembered here is known."""
        self._keeping = keeping
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._nbytes = 0
        self._hashes: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    @contextmanager
    def under_way(self, id_: str, image: bytes) -> Iterator[str]:
        """While entered, no other content may have this id. Gives the content's hash. Raises `RequestError`
        id_taken."""
        hash_ = content_hash(image)
        if self._hashes.setdefault(id_, hash_) != hash_:
            raise RequestError("id_taken")
        self._counts[id_] += 1
        try:
            yield hash_
        finally:
            self._counts[id_] -= 1
            if not self._counts[id_]:
                del self._counts[id_], self._hashes[id_]

    async def find(self, id_: str, hash_: str, account: str) -> bytes | None:
        """The document that was the answer to this account's content under this id; None where there was none.

        Raises `RequestError` id_taken for another content, and `Unavailable` where the store cannot be asked.
        """
        if earlier := self._answers.get(id_):
            if (earlier.answered.hash, earlier.account) != (hash_, account):
                raise RequestError("id_taken")
            return bytes(earlier.answered.response.body)
        if self._keeping is None:
            return None
        reply, payload = await ask(self._keeping.spool.folder, Get(id_, None))
        if not isinstance(reply, Found):
            return None
        if (reply.hash, reply.owner) != (hash_, account):
            raise RequestError("id_taken")
        return _document(decode_record(payload))

    def note(self, answered: Answered, account: str) -> None:
        """This was the answer to this account's image."""
        if answered.id in self._answers:
            return
        self._answers[answered.id] = _Answer(answered, account)
        self._nbytes += len(answered.response.body)
        while self._nbytes > _MOST_BYTES:
            self._nbytes -= len(self._answers.popitem(last=False)[1].answered.response.body)

    def forget(self, id_: str) -> None:
        """Its record was deleted."""
        if earlier := self._answers.pop(id_, None):
            self._nbytes -= len(earlier.answered.response.body)


def _document(record: Record) -> bytes:
    """The answer again, from what is kept of it."""
    head = {"id": record.id, "hash": record.hash, "model": ModelRef(record.model, record.version)}
    tail: dict[str, object] = {"timing": record.timing, "batch": 0, "cached": True, "stored": True}
    if record.duplicate_of:
        tail["duplicate_of"] = record.duplicate_of
    return b"".join(
        (msgspec.json.encode(head)[:-1], b",", bytes(record.answer)[1:-1], b",", msgspec.json.encode(tail)[1:])
    )
