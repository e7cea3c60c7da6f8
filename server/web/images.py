"""POST /v1/images: an image in, its answer out."""

from collections.abc import Sequence
from typing import NamedTuple

from preprocess.header import read_header
from server.contract.answer import NOT_KEPT, Answer, Kept, Timing, render
from server.contract.task import ImageTask
from server.engine.arrivals import Reservation
from server.telemetry.tracer import Tracer
from server.web.keeping import Keeping
from server.web.metrics import Metrics
from server.web.multipart import image_in
from server.web.paths import Target, targets
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime, owner_of
from server.web.terms import Terms, read_terms


class Times(NamedTuple):
    """Of one request, in seconds on the monotonic clock: its head, its last byte, its answer."""

    received: float
    uploaded: float
    answered: float


class Images:
    """The resources to which images are sent."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
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

    async def post(self, request: Request) -> RawResponse:
        """Answer one image: the raw body, or the `image` or `file` part of a form. By one model, or by several at once.

        Raises what `server.web.errors` has a row for. Cancellation: takes the image back at whatever stage it is.
        """
        runtime = self._runtime
        progress = request.progress
        terms = read_terms(request.headers)
        progress.urgency = terms.urgency
        asked = targets(request.scope["path"], request.scope["query_string"])
        # What is declared past the limit is refused for its size when it is read, not for want of room.
        size = min(request.body.declared_bytes, self._max_image_bytes)
        with runtime.engine.reserve(size, request.interruptible.interrupt) as reservation:
            image = await read_image(request, reservation)
            uploaded = progress.uploaded = runtime.now()
            progress.size = len(image)
            deadline = self._deadline(asked, terms, request.received, uploaded)
            (model, version), *others = asked
            task = ImageTask(image, read_header(image, runtime.engine.limits), model=model, version=version)
            reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
            progress.header = task.header
            urgency, owner = terms.urgency_for(request.principal), owner_of(request.principal)
            rest = (deadline, urgency, terms.reuse, owner, terms.sticky)
            if others:
                answer = await runtime.engine.submit_to_each(task, [name for name, _ in asked], *rest)
            else:
                answer = await runtime.engine.submit(task, *rest)
        times = Times(request.received, uploaded, runtime.now())
        progress.answer, progress.answered = answer, times.answered
        self._judge(request, times)
        timing = _timing(answer, times)
        kept = NOT_KEPT
        if self._keeping:
            within_s = deadline - times.answered
            kept = await self._keeping.keep(task, answer, timing, request.id, owner.account, within_s, request.trace)
            progress.stored = bool(kept.stored)
        queue_s, total_s = max(0.0, answer.reply.begun - uploaded), times.answered - times.received
        for one in answer.parts or (answer,):
            self._metrics.observe(one, queue_s, total_s, progress.urgency, request.trace)
        return self._respond(answer, timing, kept)

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
