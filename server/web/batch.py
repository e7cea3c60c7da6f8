"""POST /v1/images:batch: several images in, a line of JSON out for each as soon as it is answered."""

from collections.abc import Sequence
from contextlib import ExitStack

import anyio
import msgspec

from server.engine.arrivals import Reservation
from server.web.errors import problem_response
from server.web.gate import Gate
from server.web.images import Images, asked_by
from server.web.multipart import images_in
from server.web.oip.inference import MOST_ENTRIES
from server.web.request import Request
from server.web.response import Part, Produced
from server.web.runtime import Runtime
from server.web.terms import Terms, read_terms
from server.web.timing import Due
from server.web.whole import read_whole

_TYPE = (b"content-type", b"application/x-ndjson")


class Batch:
    """The resource /v1/images:batch."""

    def __init__(self, runtime: Runtime, images: Images, gate: Gate, max_bytes: int) -> None:
        """`max_bytes`: of the whole body."""
        self._runtime = runtime
        self._images = images
        self._gate = gate
        self._max_bytes = max_bytes

    async def post(self, request: Request) -> Produced:
        """Read a form's or a document's images. Lines come in the order of the answers; each has `index` and `status`.

        Raises what `server.web.errors` has a row for. The response holds the bytes until it is closed.
        """
        terms = read_terms(request.headers)
        request.body.allow(self._max_bytes)
        size = min(request.body.declared_bytes, self._max_bytes)
        with ExitStack() as stack:
            reservation = stack.enter_context(self._runtime.engine.reserve(size, request.interruptible.interrupt))
            images = await self._read(request, reservation)
            due = self._images.due(request, terms, asked_by(request))
            now = self._runtime.now()
            stack.enter_context(self._gate.more(request.principal, len(images) - 1, now, under_way=len(images)))
            held = stack.pop_all()

        async def produce(part: Part) -> None:
            await self._answer(images, request, terms, due, reservation, part)

        return Produced([_TYPE], produce, held.close)

    async def _read(self, request: Request, reservation: Reservation) -> Sequence[bytes]:
        content_type = request.headers.get(b"content-type", b"").decode("latin1")
        collected = images_in(content_type, MOST_ENTRIES)
        collected.feed(await read_whole(request.body, reservation))
        return collected.images()

    async def _answer(
        self, images: Sequence[bytes], request: Request, terms: Terms, due: Due, reservation: Reservation, part: Part
    ) -> None:
        send, receive = anyio.create_memory_object_stream[bytes](len(images))

        async def answer(index: int, image: bytes) -> None:
            reservation.release()  # CORRECTNESS: by the first; those that start with it queue their bytes at once
            await send.send(await self._line(index, image, request, terms, due))

        with send, receive:
            async with anyio.create_task_group() as tasks:
                for index, image in enumerate(images):
                    tasks.start_soon(answer, index, image)
                for _ in images:
                    await part(await receive.receive())

    async def _line(self, index: int, image: bytes, request: Request, terms: Terms, due: Due) -> bytes:
        try:
            answered = await self._images.answer(self._images.task(request, image, due), request, terms, due)
        except Exception as error:  # noqa: BLE001 - the other images have answers
            problem = problem_response(error, request.id)
            return _line_of(index, problem.status_code, bytes(problem.body))
        return _line_of(index, 200, bytes(answered.response.body))


def _line_of(index: int, status: int, document: bytes) -> bytes:
    """The document with its index, and the status that it would have as a response of its own, in a line."""
    begin = b'{"index":%d,"status":%d,' % (index, status)
    if status != 200:
        members = {name: value for name, value in msgspec.json.decode(document).items() if name != "status"}
        document = msgspec.json.encode(members)
    return begin + document[1:] + b"\n"
