"""One image of a message: fetched, answered by the engine, and made durable."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import anyio
import msgspec
import structlog

import batcher
from batcher.policy import LEAST_URGENT
from preprocess.errors import ImageError
from preprocess.header import read_header
from server.cleanup.item import Record, decode_record, encode_record, iso_time, original_name, record_name
from server.cleanup.stores import Store, StoreError
from server.consume.objects import Fetched, Missing, Objects, TooLarge
from server.contract.answer import Answer, Kept, Timing, render
from server.contract.errors import EngineLost, ImageRejected, ModelFailed, Quarantined, TaskError
from server.contract.owner import Owner
from server.contract.task import ImageTask
from server.engine import Intake
from server.queues.notification import Asked, S3Object
from server.queues.source import Publisher, QueueFailed

_DEADLINE_S = 60.0  # nobody waits for these answers: long enough to queue behind all that somebody waits for
_LEAST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 30.0
_ENGINE_PAUSE_S = 1.0  # at most, between tries to get into the queue

QUEUE = Owner("queue")

T = TypeVar("T")

log = structlog.stdlib.get_logger("tureen.consumer")


class Spoiled(Exception):
    """It can never be answered. `reason`: a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Later(Exception):
    """It was not answered now. `reason`: a code. `at_fault`: whether the image may be the cause."""

    def __init__(self, reason: str, *, at_fault: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at_fault = at_fault


class Places(NamedTuple):
    """Where answers go."""

    store: Store | None
    results: Publisher | None


class Answering:
    """The whole state: `stopping`, `lost`, and whether the store or the results queue failed at the last try."""

    def __init__(self, engine: Intake, objects: Objects, places: Places, threads: int) -> None:
        """`threads`: calls of the stores at a time."""
        self.stopping = anyio.Event()
        """When set, what fails is not tried again here."""
        self.lost = False
        """Whether the engine has gone; then this is stopping, too."""
        self._engine = engine
        self._objects = objects
        self._places = places
        self._limiter = anyio.CapacityLimiter(threads)
        self._failing = False

    def lose_engine(self) -> None:
        """The engine has gone, or takes nothing any more: stop."""
        self.lost = True
        self.stopping.set()

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
            return await self._durably(lambda: self._objects.fetch(asked))
        except Missing:
            raise Spoiled("missing") from None
        except TooLarge:
            raise Spoiled("body_too_large") from None

    async def _is_stored(self, fetched: Fetched) -> bool:
        """Whether an earlier delivery was answered, and only not deleted."""
        if not (store := self._places.store):
            return False
        data = await self._durably(lambda: store.get(record_name(fetched.id)))
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
                self.lose_engine()
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
            await self._pause(pause_s, "engine_full")

    async def _keep(self, task: ImageTask, fetched: Fetched, answer: Answer, timing: Timing) -> None:
        store, results = self._places
        if store:
            record = await anyio.to_thread.run_sync(_record, task, fetched, answer, timing, limiter=self._limiter)
            if not fetched.stored_as:
                name = original_name(record)
                await self._durably(lambda: store.put(name, task.body, record.media_type))
            name = record_name(record.id)
            await self._durably(lambda: store.put(name, encode_record(record), "application/json"))
        if results:
            await self._publish(results, _result(fetched, answer, timing, stored=store is not None))

    async def _durably(self, call: Callable[[], T]) -> T:
        """What a call of a store gives, in a thread; again and again while it fails for reasons of its own."""
        pause_s = _LEAST_PAUSE_S
        while True:
            try:
                done = await anyio.to_thread.run_sync(call, limiter=self._limiter)
            except StoreError as error:
                self._say_failing("store", error.reason, error)
                if error.reason == "refused":  # it may be this object alone
                    raise Later("refused", at_fault=True) from None
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                await self._pause(pause_s, "store_failing")
            else:
                self._say_well()
                return done

    async def _publish(self, results: Publisher, body: str) -> None:
        pause_s = _LEAST_PAUSE_S
        while True:
            try:
                await results.publish(body)
            except QueueFailed as error:
                self._say_failing("results", error.reason, error)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                await self._pause(pause_s, "results_failing")
            else:
                self._say_well()
                return

    async def _pause(self, seconds: float, reason: str) -> None:
        """Raises `Later` once this is to stop."""
        with anyio.move_on_after(seconds):
            await self.stopping.wait()
        if self.stopping.is_set():
            raise Later(reason, at_fault=False)

    def _say_failing(self, what: str, reason: str, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            log.error(f"{what}_failing", reason=reason, error=str(error))

    def _say_well(self) -> None:
        if self._failing:
            self._failing = False
            log.info("storing_again")


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


def _record(task: ImageTask, fetched: Fetched, answer: Answer, timing: Timing) -> Record:
    return Record(
        id=answer.id,
        hash=answer.hash,
        sha256=hashlib.sha256(task.body).hexdigest(),
        time=iso_time(answer.id),
        model=answer.model.name,
        version=answer.model.version,
        media_type=f"image/{task.header.format.lower()}",
        bytes=len(task.body),
        answer=msgspec.Raw(b"{%b}" % answer.reply.members),
        timing=msgspec.to_builtins(timing),
        request_id=fetched.request_id,
        owner=fetched.owner,
        source=fetched.source,
    )


def _result(fetched: Fetched, answer: Answer, timing: Timing, *, stored: bool) -> str:
    """The document that a client would get, and where the image came from."""
    document = render(answer, timing, Kept(True) if stored else Kept())
    return (document[:-1] + b',"source":%b}' % msgspec.json.encode(fetched.source)).decode()
