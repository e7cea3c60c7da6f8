"""POST /v1/images: an image in, its answer out."""

from collections.abc import Sequence
from typing import NamedTuple

from preprocess.header import read_header
from server.contract.answer import NOT_KEPT, Answer, Kept, Timing, render
from server.contract.task import ImageTask
from server.engine.arrivals import Reservation
from server.telemetry.tracer import Tracer
from server.web.counting import Counting
from server.web.deferred import Deferred
from server.web.keeping import Keeping
from server.web.multipart import image_in
from server.web.paths import IMAGES, Target, takes_images, targets
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime, owner_of
from server.web.terms import Terms, prefers_async, read_terms
from server.web.timing import Due, Times


class Answered(NamedTuple):
    """One image's answer, and the response that says it."""

    id: str
    hash: str
    response: RawResponse


class Images:
    """The resources to which images are sent."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Counting,
        max_image_bytes: int,
        keeping: Keeping | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """`keeping`: None where nothing is kept. `tracer`: None where nothing is traced."""
        self._keeping = keeping
        self._tracer = tracer
        self._runtime = runtime
        self._metrics = metrics
        self._max_image_bytes = max_image_bytes
        self.deferred: Deferred | None = None
        """Where images are answered whose clients do not wait; None where they could not ask for the answer later."""

    async def post(self, request: Request) -> RawResponse:
        """Answer one image: the raw body, the `image` or `file` part of a form, or base64 in JSON. By one model, or by
        several at once.

        Raises what `server.web.errors` has a row for. Cancellation: takes the image back at whatever stage it is.
        """
        terms = read_terms(request.headers)
        request.progress.urgency = terms.urgency
        with self.reserve(request) as reservation:
            task, due = await self.read(request, terms, reservation)
            if self.deferred and prefers_async(request.headers):
                return self.deferred.accept(task, request, terms, due, reservation)
            reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
            return (await self.answer(task, request, terms, due)).response

    def reserve(self, request: Request) -> Reservation:
        """Room for the body of a request."""
        # What is declared past the limit is refused for its size when it is read, not for want of room.
        size = min(request.body.declared_bytes, self._max_image_bytes)
        return self._runtime.engine.reserve(size, request.interruptible.interrupt)

    async def read(self, request: Request, terms: Terms, reservation: Reservation) -> tuple[ImageTask, Due]:
        """The image in a request's body. Raises what `server.web.errors` has a row for."""
        asked = asked_by(request)  # what it asks for wrongly is said before its body is read
        image = await read_image(request, reservation)
        due = self.due(request, terms, asked)
        return self.task(request, image, due), due

    def task(self, request: Request, image: bytes, due: Due) -> ImageTask:
        """An image of a request, for the first model that it asks for. Raises `ImageError`."""
        model, version = due.asked[0]
        request.progress.size = len(image)
        header = request.progress.header = read_header(image, self._runtime.engine.limits)
        return ImageTask(image, header, model=model, version=version)

    def due(self, request: Request, terms: Terms, asked: Sequence[Target]) -> Due:
        """For an upload whose last byte is here now."""
        uploaded = request.progress.uploaded = self._runtime.now()
        return Due(uploaded, self._deadline(asked, terms, request.received, uploaded), asked)

    async def answer(self, task: ImageTask, request: Request, terms: Terms, due: Due, id_: str = "") -> Answered:
        """Answer one image. `id_`: under which it is known, where that is decided already.

        CORRECTNESS: nothing is awaited before its bytes are queued. Raises and cancellation as `post`.
        """
        runtime, asked, progress = self._runtime, due.asked, request.progress
        urgency, owner = terms.urgency_for(request.principal), owner_of(request.principal)
        rest = (due.deadline, urgency, terms.reuse, owner, terms.sticky)
        if len(asked) > 1:
            answer = await runtime.engine.submit_to_each(task, [name for name, _ in asked], *rest)
        else:
            answer = await runtime.engine.submit(task, *rest)
        if id_:
            answer = answer._replace(id=id_)
        times = Times(request.received, due.uploaded, runtime.now())
        progress.answer, progress.answered = answer, times.answered
        self._judge(request, times)
        timing = _timing(answer, times)
        kept = NOT_KEPT
        if self._keeping:
            within_s = due.deadline - times.answered
            kept = await self._keeping.keep(task, answer, timing, request.id, owner.account, within_s, request.trace)
            progress.stored = bool(kept.stored)
        queue_s, total_s = max(0.0, answer.reply.begun - due.uploaded), times.answered - times.received
        for one in answer.parts or (answer,):
            self._metrics.observe(one, queue_s, total_s, terms.urgency, request.trace)
        return Answered(answer.id, answer.hash, self._respond(answer, timing, kept))

    def _judge(self, request: Request, times: Times) -> None:
        """Before the image is stored, which is a part of its trace: is this a request to be traced?"""
        if self._tracer and request.trace:
            total_s = times.answered - times.received
            request.trace = self._tracer.judge(request.trace, "ok", 200, total_s, times.answered)

    def _deadline(self, asked: Sequence[Target], terms: Terms, received: float, uploaded: float) -> float:
        """One for all models: the client's own, else that of the model whose answer is due first."""
        if terms.timeout_s is not None:
            return received + terms.timeout_s
        engine = self._runtime.engine
        slo_s = min(engine.slo_of(model) for model, _ in asked)
        return uploaded + slo_s

    def _respond(self, answer: Answer, timing: Timing, kept: Kept) -> RawResponse:
        server_timing = (
            f"upload;dur={timing.upload:.3f}, queue;dur={timing.queue:.3f}, decode;dur={timing.decode:.3f}, "
            f"infer;dur={timing.infer:.3f}, total;dur={timing.total:.3f}"
        )
        headers = [(b"content-type", b"application/json"), (b"server-timing", server_timing.encode())]
        return RawResponse(200, headers, render(answer, timing, kept))


def asked_by(request: Request) -> Sequence[Target]:
    """The models that are to answer. Raises `RequestError` bad_model."""
    path = request.scope["path"]
    return targets(path if takes_images(path) else IMAGES, request.scope["query_string"])


def _timing(answer: Answer, times: Times) -> Timing:
    reply = answer.reply
    return Timing(
        upload=round(1e3 * (times.uploaded - times.received), 3),
        queue=round(1e3 * max(0.0, reply.begun - times.uploaded), 3),
        decode=round(1e3 * reply.decode_s, 3),
        infer=round(1e3 * reply.infer_s, 3),
        total=round(1e3 * (times.answered - times.received), 3),
    )


async def read_image(request: Request, reservation: Reservation) -> bytes:
    """The image, its bytes counted against the reservation as they come. Raises `ClientGone`, `RequestError`."""
    image = image_in(request.headers.get(b"content-type", b"").decode("latin1"))
    size = 0
    while (piece := await request.body.read()) is not None:
        size += len(piece)
        reservation.grow_to(size)
        reservation.expect(request.body.rest_s)
        image.feed(piece)
    return image.finish()
