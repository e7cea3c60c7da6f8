"""POST /v1/images: an image in, its answer out."""

from functools import lru_cache
from typing import NamedTuple

import msgspec

from preprocess.header import read_header
from server.contract.answer import Answer, ModelInfo
from server.contract.task import Upload
from server.engine.intake import Reservation
from server.web.metrics import Metrics
from server.web.multipart import image_in
from server.web.request import Request
from server.web.response import RawResponse
from server.web.runtime import Runtime
from server.web.terms import read_terms


class Times(NamedTuple):
    """Of one request, in seconds on the monotonic clock: its head, its last byte, its answer."""

    received: float
    uploaded: float
    answered: float


class Images:
    """The resource /v1/images."""

    def __init__(self, runtime: Runtime, metrics: Metrics, max_image_bytes: int) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._max_image_bytes = max_image_bytes

    async def post(self, request: Request) -> RawResponse:
        """Answer one image: the raw body, or the `image` or `file` part of a form.

        Raises what `server.web.errors` has a row for. Cancellation: takes the image back at whatever stage it is.
        """
        runtime = self._runtime
        terms = read_terms(request.headers)
        # What is declared past the limit is refused for its size when it is read, not for want of room.
        with runtime.intake.reserve(min(request.body.declared_bytes, self._max_image_bytes)) as reservation:
            image = await _read(request, reservation)
            uploaded = runtime.now()
            if terms.timeout_s is None:
                deadline = uploaded + runtime.promise.slo_s
            else:
                deadline = request.received + terms.timeout_s
            upload = Upload(image, read_header(image, runtime.promise.limits))
            reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
            answer = await runtime.intake.submit(upload, deadline, terms.urgency)
        return self._respond(answer, Times(request.received, uploaded, runtime.now()))

    def _respond(self, answer: Answer, times: Times) -> RawResponse:
        reply = answer.reply
        queue_s, total_s = reply.begun - times.uploaded, times.answered - times.received
        self._metrics.observe(answer, queue_s, total_s)
        upload, queue, total = (times.uploaded - times.received) * 1e3, queue_s * 1e3, total_s * 1e3
        decode, infer = reply.decode_s * 1e3, reply.infer_s * 1e3
        head = f'{{"id":"{answer.id}","hash":"{answer.hash}","model":{_model(answer.model)},'
        tail = (
            f',"timing":{{"upload":{upload:.3f},"queue":{queue:.3f},"decode":{decode:.3f},"infer":{infer:.3f},'
            f'"total":{total:.3f}}},"batch":{reply.batch}}}'
        )
        timing = (
            f"upload;dur={upload:.3f}, queue;dur={queue:.3f}, decode;dur={decode:.3f}, infer;dur={infer:.3f}, "
            f"total;dur={total:.3f}"
        )
        headers = [(b"content-type", b"application/json"), (b"server-timing", timing.encode())]
        # The model's members come as JSON from the worker and are spliced in.
        return RawResponse(200, headers, b"%b%b%b" % (head.encode(), reply.members, tail.encode()))


async def _read(request: Request, reservation: Reservation) -> bytes:
    """The image, its bytes counted against the reservation as they come. Raises `ClientGone`, `RequestError`."""
    image = image_in(request.headers.get(b"content-type", b"").decode("latin1"))
    size = 0
    while (piece := await request.body.read()) is not None:
        size += len(piece)
        reservation.grow_to(size)
        reservation.expect(request.body.rest_s)
        image.feed(piece)
    return image.finish()


@lru_cache(maxsize=16)
def _model(model: ModelInfo) -> str:
    return msgspec.json.encode({"name": model.name, "version": model.version}).decode()
