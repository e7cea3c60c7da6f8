"""POST /v1/images: an image in, its answer out."""

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from preprocess.header import read_header
from server.dispatch.answer import Answer
from server.dispatch.intake import Reservation, Upload
from server.web.body import declared_length
from server.web.disconnect import unless_gone
from server.web.errors import ClientGone
from server.web.metrics import Metrics
from server.web.multipart import image_in
from server.web.runtime import Runtime
from server.web.terms import read_terms


@dataclass(frozen=True, slots=True)
class Times:
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

    async def post(self, request: Request) -> Response:
        """Answer one image: the raw body, or the `image` or `file` part of a form.

        Raises what `server.web.errors` has a row for.
        """
        received: float = request.state.received
        terms = read_terms(request.headers)
        # What is declared past the limit is refused for its size when it is read, not for want of room.
        declared = min(declared_length(request.headers), self._max_image_bytes)
        with self._runtime.intake.reserve(declared) as reservation:
            body = await _read(request, reservation)
            uploaded = self._runtime.now()
            deadline = uploaded + self._runtime.promise.slo_s
            if terms.timeout_s is not None:
                deadline = received + terms.timeout_s
            self._runtime.intake.check(deadline, terms.urgency)  # a refusal must be cheap: nothing else comes before
            upload = Upload(body, read_header(body, self._runtime.promise.limits))
            reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
            answer = await unless_gone(request.receive, self._runtime.intake.submit(upload, deadline, terms.urgency))
        return self._respond(answer, Times(received, uploaded, self._runtime.now()))

    def _respond(self, answer: Answer, times: Times) -> Response:
        queue_s = answer.reply.begun - times.uploaded
        self._metrics.observe(answer, queue_s, times.answered - times.received)
        timing = {
            "upload": _ms(times.uploaded - times.received),
            "queue": _ms(queue_s),
            "decode": _ms(answer.reply.decode_s),
            "infer": _ms(answer.reply.infer_s),
            "total": _ms(times.answered - times.received),
        }
        server_timing = ", ".join(f"{name};dur={value}" for name, value in timing.items())
        return Response(_body(answer, timing), 200, {"Server-Timing": server_timing}, "application/json")


async def _read(request: Request, reservation: Reservation) -> bytes:
    """The image, its bytes counted against the reservation as they come. Raises `ClientGone`, `RequestError`."""
    image = image_in(request.headers.get("content-type", ""))
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        size += len(message["body"])
        reservation.grow_to(size)
        image.feed(message["body"])
        if not message["more_body"]:
            return image.finish()


def _body(answer: Answer, timing: dict[str, float]) -> bytes:
    """The response object; the model's members come as JSON from the worker and are spliced in."""
    model = {"name": answer.model.name, "version": answer.model.version}
    head = msgspec.json.encode({"id": answer.id, "hash": answer.hash, "model": model})
    tail = msgspec.json.encode({"timing": timing, "batch": answer.reply.batch})
    return b"%b,%b,%b" % (head[:-1], answer.reply.members, tail[1:])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
