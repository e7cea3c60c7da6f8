"""What the web process asks clean-up for, over a Unix socket in the spool: records, originals, and their removal.

The web process itself calls no store: a store may be slow, and botocore takes a GIL for milliseconds per call.
"""

from pathlib import Path

import anyio
from anyio.abc import SocketStream

from server.cleanup.carrier import Carrier
from server.cleanup.index import Index
from server.cleanup.item import Damaged, decode_record, original_name, record_name
from server.cleanup.spool import SUFFIX
from server.cleanup.stores import Store, StoreError
from server.contract.framing import Codec, FrameReader, Message, WireError

SOCKET = "cleanup.sock"
_TIMEOUT_S = 10.0


class Get(Message, frozen=True):
    """Give the record of this id; `original`: the image itself."""

    id: str
    original: bool = False


class Delete(Message, frozen=True):
    """Forget everything about this id."""

    id: str


class Note(Message, frozen=True):
    """Keep what a client reports of this id; answered `Noted` or `Missing`."""

    id: str
    metric: str
    value: float


class Noted(Message, frozen=True):
    """It is kept."""


class Found(Message, frozen=True):
    """The payload is what was asked for. `hash` and `owner`: of its content."""

    media_type: str
    hash: str
    owner: str


class Missing(Message, frozen=True):
    """Nothing of that id is kept. `spooled`: it is on its way."""

    spooled: bool = False


class Failed(Message, frozen=True):
    """The store cannot be asked now."""

    reason: str


Question = Get | Delete | Note
Reply = Found | Missing | Failed | Noted

_questions: Codec[Question] = Codec(Question)
_replies: Codec[Reply] = Codec(Reply)


class Unavailable(Exception):
    """Clean-up, or its store, does not answer now."""


async def ask(folder: Path, question: Question) -> tuple[Reply, bytes]:
    """The web process's end: one question, one connection. Raises `Unavailable`."""
    try:
        with anyio.fail_after(_TIMEOUT_S):
            async with await anyio.connect_unix(folder / SOCKET) as stream:
                await stream.send(_questions.frame(question))
                reader: FrameReader[Reply] = FrameReader(_replies)
                async for data in stream:
                    for reply, payload in reader.feed(data):
                        if isinstance(reply, Failed):
                            raise Unavailable(reply.reason)
                        return reply, payload
    except (OSError, TimeoutError, WireError, anyio.BrokenResourceError) as error:
        raise Unavailable(str(error)) from None
    raise Unavailable("it hung up")


class Librarian:
    """Clean-up's end."""

    def __init__(self, folder: Path, store: Store, index: Index, carrier: Carrier) -> None:
        self._folder = folder
        self._store = store
        self._index = index
        self._carrier = carrier

    async def serve(self) -> None:
        """Answer until cancelled. Raises `OSError` if the socket cannot be made."""
        async with await anyio.create_unix_listener(self._folder / SOCKET, mode=0o600) as listener:
            await listener.serve(self._serve_one)

    async def _serve_one(self, stream: SocketStream) -> None:
        reader: FrameReader[Question] = FrameReader(_questions)
        try:
            async with stream:
                async for data in stream:
                    for question, _ in reader.feed(data):
                        reply, payload = await self._reply(question)
                        await stream.send(_replies.frame(reply, payload))
        except (WireError, anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
            pass

    async def _reply(self, question: Question) -> tuple[Reply, bytes]:
        try:
            if isinstance(question, Note):
                kept = await self._carrier.note(question.id, question.metric, question.value)
                return (Noted() if kept else Missing()), b""
            found = await anyio.to_thread.run_sync(
                self._look_up, question.id, isinstance(question, Get) and question.original
            )
            if isinstance(question, Delete):
                gone = await self._carrier.forget(question.id)
                return (found[0] if isinstance(found[0], Found) else Missing(gone)), b""
            return found
        except StoreError as error:
            return Failed(error.reason), b""

    def _look_up(self, id_: str, original: bool) -> tuple[Reply, bytes]:
        data = self._store.get(record_name(id_))
        if data is None:
            return Missing((self._folder / f"{id_}{SUFFIX}").exists()), b""
        try:
            record = decode_record(data)
        except Damaged as error:
            raise StoreError("damaged", str(error)) from None
        if not original:
            return Found("application/json", record.hash, record.owner), data
        image = self._store.get(original_name(record))
        if image is None:
            return Missing(), b""
        return Found(record.media_type, record.hash, record.owner), image
