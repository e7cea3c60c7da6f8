"""Images that are answered later: their clients get 202 at once, and the answer where they are told to look.

Whether an image can be in time is decided before 202 is said; what goes wrong after that is remembered for a while.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from anyio.abc import TaskGroup

from server.contract.ids import uuid7
from server.contract.task import ImageTask
from server.engine.arrivals import Reservation
from server.web.errors import PROBLEMS, RequestError, code_of
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime
from server.web.terms import Terms
from server.web.timing import Due

_MOST_FAILURES = 10_000  # remembered


AnswerUnder = Callable[[ImageTask, Request, Terms, Due, str], Awaitable[object]]
"""Answers an image under an id."""

Conclude = Callable[[Request, str, int, float], None]
"""Told the code and the status with which it ended, and when: seconds on the monotonic clock."""


class Deferred:
    """The whole state: the ids of images under way, and the codes of those that failed, the last ones."""

    def __init__(self, runtime: Runtime, answer: AnswerUnder, tasks: TaskGroup, conclude: Conclude) -> None:
        """`tasks`: in which images are answered; whoever leaves it waits for them."""
        self._conclude = conclude
        self._runtime = runtime
        self._answer_under = answer
        self._tasks = tasks
        self._under_way: set[str] = set()
        self._failures: OrderedDict[str, str] = OrderedDict()

    def accept(
        self, task: ImageTask, request: Request, terms: Terms, due: Due, reservation: Reservation
    ) -> RawResponse:
        """Begin to answer an image; the response says where its answer will be. Raises the `Refused` it would get."""
        if refusal := self._runtime.would_refuse(request.principal, task.header, len(task.body), terms, 0):
            raise refusal
        id_ = uuid7()
        self._under_way.add(id_)
        request.progress.deferred = True
        reservation.release()  # its bytes are queued as soon as the task begins
        self._tasks.start_soon(self._answer, id_, task, request, terms, due)
        headers = [
            (b"content-type", b"application/json"),
            (b"location", f"/v1/images/{id_}".encode()),
            (b"preference-applied", b"respond-async"),
            (b"retry-after", b"1"),
        ]
        return RawResponse(202, headers, b'{"id":"%b","status":"pending"}' % id_.encode())

    def is_under_way(self, id_: str) -> bool:
        """Whether this image is still to be answered."""
        return id_ in self._under_way

    def check(self, id_: str) -> None:
        """Raises the `RequestError` with which this image ended, if it did."""
        if code := self._failures.get(id_):
            raise RequestError(code)

    async def _answer(self, id_: str, task: ImageTask, request: Request, terms: Terms, due: Due) -> None:
        code, status = "shutting_down", 503  # if it is cancelled
        try:
            await self._answer_under(task, request, terms, due, id_)
            code, status = "ok", 200
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asks is told
            code = self._failures[id_] = code_of(error)
            status = PROBLEMS[code].status
            if len(self._failures) > _MOST_FAILURES:
                self._failures.popitem(last=False)
        finally:
            self._under_way.discard(id_)
            self._conclude(request, code, status, self._runtime.now())
