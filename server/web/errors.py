"""The one table from errors to HTTP, and the problem documents (RFC 9457) made of it.

Texts come from this table alone: nothing that a client sent, and nothing internal, is echoed.
"""

import math
import random
from dataclasses import dataclass

import msgspec
from starlette.exceptions import HTTPException

import batcher
import preprocess.errors as image_errors
from server.cleanup.reading import Unavailable
from server.cleanup.spool import SpoolRefused
from server.contract.errors import EngineLost, ImageRejected, ModelFailed, Quarantined, TensorRejected, UnknownModel
from server.drift.reference import BadReference
from server.engine.cache.shared import StoreFailed as CacheFailed
from server.engine.loading import LoadFailed
from server.repository.errors import Conflict, NoSuchModel, RepositoryError, StateError, StoreFailed
from server.rollout.state import BadPlan, RolloutError
from server.web.response import RawResponse

_SHUTTING_DOWN_WAIT_S = 5.0  # by then a load balancer sends elsewhere, or a successor is up


class RequestError(Exception):
    """The request itself is at fault. `code` is a row of `PROBLEMS`."""

    def __init__(
        self, code: str, headers: dict[str, str] | None = None, retry_after_s: float = _SHUTTING_DOWN_WAIT_S
    ) -> None:
        super().__init__(code)
        self.code = code
        self.headers = headers or {}
        self.retry_after_s = retry_after_s


class ClientGone(Exception):
    """The client closed the connection; no response can be sent."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal. `code` is stable: clients may rely on it."""

    status: int
    code: str
    title: str


_ROWS = (
    Problem(400, "bad_timeout", "X-Request-Timeout-Ms must be a whole number of milliseconds, 1 to 600000"),
    Problem(400, "bad_content_length", "Content-Length must be a number of up to 19 digits"),
    Problem(400, "malformed_request", "The request is not HTTP/1.1, or could be read in more than one way"),
    Problem(400, "bad_inference", "The inference request is malformed, or does not fit the model"),
    Problem(400, "bad_image_id", "The id in the path must be a UUIDv7 made within a day of now"),
    Problem(400, "bad_json", 'The JSON must be {"image": "..."}, with an image in base64 or as a data: URL'),
    Problem(400, "bad_multipart", "The multipart form is malformed, cut short, or not within this server's limits"),
    Problem(400, "bad_model", "model may be given up to 8 times, each another one; version once, with one model"),
    Problem(400, "image_part_missing", "The form has no part named image or file"),
    Problem(
        400, "bad_outcome", "An outcome is a JSON object with metric (up to 64 of a-z 0-9 _ . -) and value (a number)"
    ),
    Problem(400, "bad_plan", "What was sent breaks a rule; reason says which"),
    Problem(400, "bad_profile", "seconds must be a whole number from 1 to 60"),
    Problem(401, "unauthenticated", "This needs a valid key or token, as Authorization: Bearer KEY"),
    Problem(403, "forbidden", "This key or token has not the scope that this needs"),
    Problem(404, "not_found", "There is nothing at this path; GET / lists the endpoints"),
    Problem(404, "unknown_model", "This server has no such model or version"),
    Problem(405, "method_not_allowed", "This path does not take that method"),
    Problem(408, "head_timeout", "The request's headers did not arrive in time"),
    Problem(408, "upload_timeout", "The body did not arrive in time"),
    Problem(409, "id_taken", "Another image has this id"),
    Problem(409, "load_failed", "The version failed a step on its way to traffic; what served before goes on"),
    Problem(409, "profile_running", "One profile is taken at a time"),
    Problem(409, "state_conflict", "What was asked does not fit what is served now"),
    Problem(413, "body_too_large", "The body is larger than this server accepts"),
    Problem(415, "encoded_body", "Content-Encoding is not accepted: send the image unencoded"),
    Problem(415, "not_an_image", "The body is not an image"),
    Problem(415, "unsupported_format", "This image format is not accepted"),
    Problem(422, "image_empty", "The body is empty"),
    Problem(422, "image_truncated", "The image ends early"),
    Problem(422, "image_corrupt", "The image is damaged"),
    Problem(422, "image_too_costly", "The image takes more work to decode than any image of its size should"),
    Problem(422, "too_many_pixels", "The image has more pixels than this server accepts"),
    Problem(422, "quarantined", "This image recently crashed its workers and is refused for a while"),
    Problem(422, "tensor_rejected", "The tensor does not fit the model's input"),
    Problem(422, "deadline_unmeetable", "Such an image takes longer than this deadline; shortest_ms is the least"),
    Problem(429, "rate_limited", "This client has used up its rate for now"),
    Problem(429, "too_many_in_flight", "This client has as many images under way as it may have"),
    Problem(431, "headers_too_large", "The request's headers are too many or too long"),
    Problem(500, "internal_error", "The server failed"),
    Problem(500, "model_error", "The model failed on this image"),
    Problem(500, "worker_lost", "Two workers were lost with this image"),
    Problem(501, "not_implemented", "This server does not know the request's method or transfer coding"),
    Problem(503, "too_many_connections", "This server has reached its limit of connections"),
    Problem(503, "queue_full", "The queue is full"),
    Problem(503, "would_be_late", "The answer would come after its deadline"),
    Problem(503, "not_ready", "No worker is ready"),
    Problem(503, "storage_unavailable", "What must be stored, or is to be read, cannot be just now"),
    Problem(503, "shutting_down", "This server is shutting down"),
    Problem(504, "deadline_exceeded", "The deadline passed before the answer was ready"),
)

PROBLEMS = {row.code: row for row in _ROWS}

CODES: dict[type[Exception], str] = {
    batcher.QueueFull: "queue_full",
    batcher.WouldBeLate: "would_be_late",
    batcher.Unmeetable: "deadline_unmeetable",
    batcher.NoExecutor: "not_ready",
    batcher.BatcherClosed: "shutting_down",
    batcher.DeadlineExceeded: "deadline_exceeded",
    batcher.BatchFailed: "model_error",
    batcher.RetriesExhausted: "worker_lost",
    image_errors.EmptyImage: "image_empty",
    image_errors.NotAnImage: "not_an_image",
    image_errors.UnsupportedFormat: "unsupported_format",
    image_errors.TooManyPixels: "too_many_pixels",
    image_errors.TruncatedImage: "image_truncated",
    image_errors.CostlyImage: "image_too_costly",
    image_errors.CorruptImage: "image_corrupt",
    ModelFailed: "model_error",
    Quarantined: "quarantined",
    TensorRejected: "tensor_rejected",
    UnknownModel: "unknown_model",
    EngineLost: "internal_error",
    LoadFailed: "load_failed",
    NoSuchModel: "unknown_model",
    StateError: "state_conflict",
    RolloutError: "state_conflict",
    BadPlan: "bad_plan",
    BadReference: "bad_plan",
    Conflict: "state_conflict",
    StoreFailed: "storage_unavailable",
    SpoolRefused: "storage_unavailable",
    Unavailable: "storage_unavailable",
    CacheFailed: "storage_unavailable",
}

_JITTER = 0.5  # up to half as long again, so that those refused together do not come back together


def code_of(error: Exception) -> str:
    """The code of any exception; `internal_error` for our own faults."""
    if isinstance(error, RequestError | ImageRejected):
        return error.code
    if isinstance(error, HTTPException):
        return {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "internal_error")
    return CODES.get(type(error), "internal_error")


def problem_response(error: Exception, request_id: str, trace_id: str = "") -> RawResponse:
    """The problem document for an error, with `Retry-After` where trying again may help. `trace_id`: "" is none."""
    problem = PROBLEMS[code_of(error)]
    document: dict[str, object] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "request_id": request_id,
    }
    if trace_id:
        document["trace_id"] = trace_id
    given: dict[str, str] = getattr(error, "headers", None) or {}
    headers = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    if problem.status in (429, 503):
        within_s = wait_s(error)
        document["retry_after_ms"] = math.ceil(within_s * 1000)
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(within_s))))
    if isinstance(error, UnknownModel):
        document["served"] = error.served
    if isinstance(error, RepositoryError | RolloutError | BadReference):  # for operators, who are told everything
        document["reason"] = str(error)
    if isinstance(error, LoadFailed):
        document["step"] = error.step
    if isinstance(error, batcher.Unmeetable):
        document["shortest_ms"] = math.ceil(error.shortest_s * 1000)
    headers.append((b"content-type", b"application/problem+json"))
    return RawResponse(problem.status, headers, msgspec.json.encode(document))


def wait_s(error: Exception) -> float:
    """Seconds after which to try again: not the same for all that are refused together."""
    seconds: float = getattr(error, "retry_after_s", _SHUTTING_DOWN_WAIT_S)
    return seconds * random.uniform(1.0, 1.0 + _JITTER)
