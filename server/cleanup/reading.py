"""What the web process asks clean-up for, over a Unix socket in the spool: records, originals, and their removal.

The web process itself calls no store: a store may be slow, and botocore takes a GIL for milliseconds per call.
"""

from pathlib import Path

import anyio
from anyio.abc import SocketStream

from server.cleanup.carrier import Carrier, spooled_record, stored_record
from server.cleanup.item import encode_record, original_name
from server.cleanup.stores import Store, StoreError
from server.contract.framing import Codec, FrameReader, Message, WireError

SOCKET = "cleanup.sock"
_TIMEOUT_S = 10.0


class Get(Message, frozen=True):
    """Give the record of this id; `original`: the image itself. `owner`: whoever asks; None may read everybody's."""

    id: str
    owner: str | None
    original: bool = False


class Delete(Message, frozen=True):
    """Forget everything about this id. `owner`: as in `Get`."""

    id: str
    owner: str | None


class Retry(Message, frozen=True):
    """Try at once what failed. `only_ask`: change nothing; the reply says that somebody is there."""

    only_ask: bool = False


class Note(Message, frozen=True):
    """Keep what a client reports of this id; answered `Noted` or `Missing`. `owner`: as in `Get`."""

    id: str
    owner: str | None
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


class Hidden(Message, frozen=True):
    """It is somebody else's, or such a thing was never kept."""


class Failed(Message, frozen=True):
    """The store cannot be asked now."""

    reason: str


Question = Get | Delete | Retry | Note
Reply = Found | Missing | Hidden | Failed | Noted

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

    def __init__(self, folder: Path, store: Store, carrier: Carrier) -> None:
        self._folder = folder
        self._store = store
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
        if isinstance(question, Retry):
            if not question.only_ask:
                self._carrier.retry()
            return Missing(), b""
        try:
            if isinstance(question, Note):
                kept = await self._carrier.note(question.id, question.owner, question.metric, question.value)
                return (Noted() if kept else Missing()), b""
            if isinstance(question, Get):
                return await anyio.to_thread.run_sync(self._look_up, question)
            gone = await self._carrier.forget(question.id, question.owner)
            return (Found("", gone.hash, gone.owner) if gone else Missing()), b""
        except StoreError as error:
            return Failed(error.reason), b""

    def _look_up(self, question: Get) -> tuple[Reply, bytes]:
        """Blocking. Raises `StoreError`."""
        spooled = spooled_record(self._folder, question.id)  # CORRECTNESS: first, since it goes from there to the store
        stored = stored_record(self._store, question.id)
        record = stored or spooled
        if record is None:
            return Missing(), b""
        if question.owner not in (None, record.owner):
            return Hidden(), b""
        if stored is None or (record.is_pending and not question.original):
            return Missing(spooled=True), b""
        if not question.original:
            return Found("application/json", record.hash, record.owner), encode_record(record)
        if record.redacted == "originals":
            return Hidden(), b""
        image = self._store.get(original_name(record))
        return (Missing(), b"") if image is None else (Found(record.media_type, record.hash, record.owner), image)
