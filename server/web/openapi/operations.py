"""Each operation: what it takes, what it gives, with which problems it may end. A test compares it with the routes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

JSON, OCTETS, FORM = "application/json", "application/octet-stream", "multipart/form-data"
NDJSON, TEXT, HTML, IMAGE = "application/x-ndjson", "text/plain", "text/html", "image/*"
EVENTS = "text/event-stream"

ALWAYS: Final = (
    "malformed_request", "bad_content_length", "encoded_body", "not_found", "method_not_allowed", "head_timeout",
    "headers_too_large", "not_implemented", "internal_error", "too_many_connections", "shutting_down",
)  # fmt: skip
"""With which any request may end."""
_KEYS = ("unauthenticated", "forbidden", "rate_limited")
_BODY = ("body_too_large", "upload_timeout", "queue_full", "not_ready")
_ANSWER = (
    "bad_timeout", "bad_model", "too_many_in_flight", "unknown_model", "not_an_image", "unsupported_format",
    "image_empty", "image_truncated", "image_corrupt", "image_too_costly", "too_many_pixels", "tensor_rejected",
    "deadline_unmeetable", "quarantined", "model_error", "worker_lost", "would_be_late", "deadline_exceeded",
)  # fmt: skip
_UPLOAD = (*_KEYS, *_BODY, *_ANSWER, "bad_json", "bad_multipart", "image_part_missing", "storage_unavailable")
_INFER = (*_KEYS, *_BODY, *_ANSWER, "bad_inference")
_MODEL = (*_KEYS, "unknown_model", "not_ready")
_RECORD = (*_KEYS, *_ANSWER, "storage_unavailable", "queue_full", "not_ready")


class Operation(NamedTuple):
    """One method of one path. `takes`: media types of a body with their schemas; `gives`: statuses without a problem,
    each with media type and schema; `codes`: of problems, beside `ALWAYS`; `terms`: whether deadline, urgency and cache
    are read from headers."""

    summary: str
    tag: str
    gives: dict[int, tuple[str, str]]
    codes: tuple[str, ...] = ()
    takes: Mapping[str, str] = MappingProxyType({})
    terms: bool = False


_IMAGE_BODY = {IMAGE: "Binary", OCTETS: "Binary", FORM: "ImageForm", JSON: "ImageInJson"}
_ACCEPTED = {200: (JSON, "ImageAnswer"), 202: (JSON, "Pending")}

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/v1/images"): Operation("Answer an image", "images", _ACCEPTED, _UPLOAD, _IMAGE_BODY, terms=True),
    ("GET", "/v1/images"): Operation("The stored images of one content", "records", {200: (JSON, "Ids")}, _RECORD),
    ("PUT", "/v1/images/{id}"): Operation(
        "Answer an image once, however often it is sent under its id", "images", {200: (JSON, "ImageAnswer")},
        (*_UPLOAD, "bad_image_id", "id_taken"), _IMAGE_BODY, terms=True,
    ),
    ("GET", "/v1/images/{id}"): Operation(
        "What is kept of an image", "records", {200: (JSON, "Record"), 202: (JSON, "Pending")}, _RECORD
    ),
    ("DELETE", "/v1/images/{id}"): Operation("Forget an image", "records", {204: ("", "")}, _RECORD),
    ("GET", "/v1/images/{id}/original"): Operation(
        "The image as it was sent", "records", {200: (IMAGE, "Binary"), 202: (JSON, "Pending")}, _RECORD
    ),
    ("POST", "/v1/images:batch"): Operation(
        "Answer several images, each in a line as soon as it is ready", "images", {200: (NDJSON, "Line")}, _UPLOAD,
        {FORM: "ImagesForm", JSON: "ImagesInJson"}, terms=True,
    ),
    ("GET", "/v2"): Operation("Name, version, extensions", "inference protocol", {200: (JSON, "Server")}, _KEYS),
    ("GET", "/v2/health/live"): Operation("Liveness", "inference protocol", {200: (JSON, "Live")}),
    ("GET", "/v2/health/ready"): Operation("Readiness", "inference protocol", {200: (JSON, "Ready")}, ("not_ready",)),
    ("GET", "/v2/models"): Operation("The names of all models", "inference protocol", {200: (JSON, "Models")}, _KEYS),
    ("GET", "/v2/models/stats"): Operation(
        "Statistics of all models", "inference protocol", {200: (JSON, "Object")}, _MODEL
    ),
    ("GET", "/healthz"): Operation("Liveness", "operation", {200: (JSON, "Object")}),
    ("GET", "/readyz"): Operation("Readiness", "operation", {200: (JSON, "Object")}, ("not_ready",)),
    ("GET", "/metrics"): Operation("Metrics for Prometheus", "operation", {200: (TEXT, "Text")}, _KEYS),
    ("GET", "/"): Operation("What this is", "operation", {200: (JSON, "Object")}, _KEYS),
    ("GET", "/openapi.json"): Operation("This document", "operation", {200: (JSON, "Object")}),
    ("GET", "/docs"): Operation("This document for people", "operation", {200: (HTML, "Text")}),
}  # fmt: skip
_ADMIN = (*_KEYS, "unknown_model", "load_failed", "state_conflict", "bad_plan", "storage_unavailable")
_ONE = "/v1/models/{name}/versions/{version}"
OPERATIONS.update({
    ("POST", "/v1/images/{id}/outcome"): Operation(
        "Report what became of an answer", "records", {204: ("", "")}, (*_RECORD, "bad_outcome"), {JSON: "Object"}
    ),
    ("GET", "/v1/models"): Operation("All models, for operators", "operation", {200: (JSON, "Object")}, _ADMIN),
    ("GET", "/v1/models/{name}"): Operation("One model", "operation", {200: (JSON, "Object")}, _ADMIN),
    ("POST", "/v1/models/{name}/rollback"): Operation(
        "Let the version before answer", "operation", {200: (JSON, "Object")}, _ADMIN
    ),
    ("POST", f"{_ONE}/load"): Operation("Hold a version ready", "operation", {200: (JSON, "Object")}, _ADMIN),
    ("POST", f"{_ONE}/unload"): Operation("Let go of a version", "operation", {200: (JSON, "Object")}, _ADMIN),
    ("POST", f"{_ONE}/promote"): Operation("Let a version answer", "operation", {200: (JSON, "Object")}, _ADMIN),
})  # fmt: skip
_ROLLOUT, _DRIFT = "/v1/models/{name}/rollout", "/v1/models/{name}/drift"
OPERATIONS.update({
    ("GET", _ROLLOUT): Operation("How far a rollout is", "operation", {200: (JSON, "Object")}, _ADMIN),
    ("POST", _ROLLOUT): Operation(
        "Begin a rollout", "operation", {200: (JSON, "Object")}, _ADMIN, {JSON: "Object"}
    ),
    ("POST", f"{_ROLLOUT}/{{change}}"): Operation(
        "Pause, resume, promote or roll back", "operation", {200: (JSON, "Object")}, _ADMIN
    ),
    ("GET", _DRIFT): Operation("How far today's images are from the reference", "operation", {200: (JSON, "Object")},
        _ADMIN),
    ("POST", _DRIFT): Operation("Take a new reference", "operation", {200: (JSON, "Object")}, _ADMIN),
    ("GET", "/watch"): Operation("What the server does now", "operation", {200: (JSON, "Object")}, _KEYS),
    ("GET", "/watch/events"): Operation("The same, every second", "operation", {200: (EVENTS, "Event")}, _KEYS),
})  # fmt: skip
OPERATIONS.update({
    ("GET", "/debug/profile"): Operation(
        "Where the web process spends its time: stacks sampled for `seconds`", "operation", {200: (TEXT, "Text")},
        (*_KEYS, "bad_profile", "profile_running"),
    ),
    ("GET", "/debug/stacks"): Operation(
        "What each thread and task of the web process does now", "operation", {200: (TEXT, "Text")}, _KEYS
    ),
})  # fmt: skip
_REPOSITORY = "/v2/repository/models/{name}"
OPERATIONS.update({
    ("POST", "/v2/repository/index"): Operation(
        "Every version, and whether it takes requests", "inference protocol", {200: (JSON, "Index")},
        (*_ADMIN, "bad_inference"), {JSON: "Object"},
    ),
    ("POST", f"{_REPOSITORY}/load"): Operation(
        "Let the newest version answer", "inference protocol", {200: (JSON, "Object")}, (*_ADMIN, "bad_inference"),
        {JSON: "Object"},
    ),
    ("POST", f"{_REPOSITORY}/unload"): Operation(
        "Refused: the version that answers stays", "inference protocol", {200: (JSON, "Object")},
        (*_ADMIN, "bad_inference"), {JSON: "Object"},
    ),
})  # fmt: skip
for _path in ("/v1/models/{model}/images", "/v1/models/{model}/versions/{version}/images"):
    OPERATIONS["POST", _path] = Operation(
        "Answer an image by this model", "images", _ACCEPTED, _UPLOAD, _IMAGE_BODY, terms=True
    )
for _version in ("", "/versions/{version}"):
    _path = f"/v2/models/{{model}}{_version}"
    OPERATIONS.update({
        ("GET", _path): Operation("A model's inputs and outputs", "inference protocol", {200: (JSON, "Model")}, _MODEL),
        ("GET", f"{_path}/ready"): Operation(
            "A model's readiness", "inference protocol", {200: (JSON, "Object")}, _MODEL
        ),
        ("GET", f"{_path}/config"): Operation(
            "A model's configuration, as Triton's clients look for it", "inference protocol", {200: (JSON, "Object")},
            _MODEL,
        ),
        ("GET", f"{_path}/stats"): Operation(
            "A model's statistics", "inference protocol", {200: (JSON, "Object")}, _MODEL
        ),
        ("POST", f"{_path}/infer"): Operation(
            "Run tensors, or images as BYTES", "inference protocol", {200: (JSON, "InferResponse")}, _INFER,
            {JSON: "InferRequest", OCTETS: "Binary"}, terms=True,
        ),
    })  # fmt: skip
