"""One image of a message: fetched, answered by the engine, and made durable."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeVar

import anyio
import msgspec
import structlog

import batcher
from batcher.policy import LEAST_URGENT
from preprocess.errors import ImageError
from preprocess.header import read_header
from server.cleanup import deletion
from server.cleanup.answered import item_of
from server.cleanup.item import Redaction, decode_record, encode_record, original_name, record_name
from server.cleanup.stores import Store
from server.consume.errors import Later, Spoiled
from server.consume.objects import Fetched, Missing, Objects, TooLarge
from server.consume.patience import Patience
from server.contract.answer import Answer, Kept, Timing, render
from server.contract.errors import EngineLost, ImageRejected, ModelFailed, Quarantined, TaskError
from server.contract.owner import Owner
from server.contract.task import ImageTask
from server.engine import Intake
from server.queues.notification import Asked, S3Object
from server.queues.source import Publisher

_DEADLINE_S = 60.0  # nobody waits for these answers: long enough to queue behind all that somebody waits for
_LEAST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 30.0
_ENGINE_PAUSE_S = 1.0  # at most, between tries to get into the queue

QUEUE = Owner("queue")

T = TypeVar("T")

log = structlog.stdlib.get_logger("tureen.consumer")


class Places(NamedTuple):
    """Where answers go."""

    store: Store | None
    results: Publisher | None


class Answering:
    """Has no state of its own."""

    def __init__(
        self, engine: Intake, objects: Objects, places: Places, patience: Patience, redact: Redaction = "off"
    ) -> None:
        self._engine = engine
        self._objects = objects
        self._places = places
        self._patience = patience
        self._redact: Redaction = redact

    async def answer(self, asked: Asked, delivered_before: bool) -> None:
        """Answer an image; its answer is durable when this returns. Raises `Spoiled`, `Later`.

        While the store, the queue of results or the engine cannot take it, this waits and tries again.
        Cancellation: the image is taken back; it may be in the store already.
        """
        begun = time.monotonic()
        size = asked.size if isinstance(asked, S3Object) else asked.upload.bytes
        with await self._admitted(lambda: _now(lambda: self._engine.reserve(size))) as reservation:
            fetched = await self._fetch(asked)
            await self._admitted(lambda: _now(lambda: reservation.grow_to(len(fetched.body))))
            if delivered_before and not self._places.results and await self._is_stored(fetched):
                return
            task = _task(fetched, self._engine)
            reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
            uploaded = time.monotonic()
            answer = await self._admitted(lambda: self._submit(task))
        answer = answer._replace(id=fetched.id)
        await self._keep(task, fetched, answer, _timing(answer, begun, uploaded))

    # -- inside ------------------------------------------------------------------------------------

    async def _fetch(self, asked: Asked) -> Fetched:
        try:
            return await self._patience.stored(lambda: self._objects.fetch(asked))
        except Missing:
            raise Spoiled("missing") from None
        except TooLarge:
            raise Spoiled("body_too_large") from None

    async def _is_stored(self, fetched: Fetched) -> bool:
        """Whether an earlier delivery was answered, and only not deleted."""
        if not (store := self._places.store):
            return False
        data = await self._patience.stored(lambda: store.get(record_name(fetched.id)))
        return data is not None and not decode_record(data).is_pending

    async def _submit(self, task: ImageTask) -> Answer:
        return await self._engine.submit(task, time.monotonic() + _DEADLINE_S, LEAST_URGENT, owner=QUEUE)

    async def _admitted(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives, as soon as the engine has room. Raises `Spoiled`, `Later`."""
        while True:
            try:
                return await call()
            except batcher.Unmeetable:
                raise Spoiled("deadline_unmeetable") from None
            except batcher.Refused as error:
                pause_s = min(max(error.retry_after_s, _LEAST_PAUSE_S), _ENGINE_PAUSE_S)
            except batcher.DeadlineExceeded:
                pause_s = _LEAST_PAUSE_S
            except (batcher.BatcherClosed, EngineLost):
                self._patience.lose_engine()
                raise Later("engine_gone", at_fault=False) from None
            except (batcher.BatchFailed, ModelFailed):
                raise Later("model_error", at_fault=True) from None
            except batcher.RetriesExhausted:
                raise Later("worker_lost", at_fault=True) from None
            except ImageRejected as error:
                raise Spoiled(error.code) from None
            except Quarantined:
                raise Spoiled("quarantined") from None
            except TaskError as error:
                raise Later(type(error).__name__, at_fault=True) from None
            await self._patience.pause(pause_s, "engine_full")

    async def _keep(self, task: ImageTask, fetched: Fetched, answer: Answer, timing: Timing) -> None:
        store, results = self._places
        if store and not await self._store(store, task, fetched, answer, timing):
            log.info("deleted_meanwhile", id=fetched.id)
        elif results:
            await self._patience.published(results, _result(fetched, answer, timing, stored=store is not None))

    async def _store(self, store: Store, task: ImageTask, fetched: Fetched, answer: Answer, timing: Timing) -> bool:
        """Original and then record; of a forwarded upload the original is there, and goes if it may not be kept.

        False if the image was deleted meanwhile; then nothing is left of it.
        """
        make = partial(
            item_of, task, answer, timing, self._redact, request_id=fetched.request_id, account=fetched.owner,
            source=fetched.source,
        )  # fmt: skip
        record, original = await anyio.to_thread.run_sync(make, limiter=self._patience.limiter)
        place, kept = original_name(record), record.redacted != "originals"
        if kept and (not fetched.stored_as or record.redacted == "metadata"):
            await self._patience.stored(lambda: store.put(place, original, record.media_type))
        await self._patience.stored(
            lambda: store.put(record_name(record.id), encode_record(record), "application/json")
        )
        if fetched.stored_as and not kept:
            await self._patience.stored(lambda: store.delete(fetched.stored_as))
        return not await self._patience.stored(lambda: deletion.undo_if_deleted(store, record))


async def _now(call: Callable[[], T]) -> T:
    return call()


def _task(fetched: Fetched, engine: Intake) -> ImageTask:
    try:
        return ImageTask(fetched.body, read_header(fetched.body, engine.limits))
    except ImageError as error:
        raise Spoiled(error.code) from None


def _timing(answer: Answer, begun: float, uploaded: float) -> Timing:
    """`upload` is the time of fetching."""
    reply = answer.reply
    seconds = (
        uploaded - begun, max(0.0, reply.begun - uploaded), reply.decode_s, reply.infer_s, time.monotonic() - begun,
    )  # fmt: skip
    return Timing(*(round(one * 1e3, 3) for one in seconds))


def _result(fetched: Fetched, answer: Answer, timing: Timing, *, stored: bool) -> str:
    """The document that a client would get, and where the image came from."""
    document = render(answer, timing, Kept(True) if stored else Kept())
    return (document[:-1] + b',"source":%b}' % msgspec.json.encode(fetched.source)).decode()
