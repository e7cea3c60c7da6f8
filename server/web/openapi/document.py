"""The OpenAPI 3.1 document of the resources that this server has."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, NamedTuple

from server.web.errors import PROBLEMS
from server.web.openapi.operations import ALWAYS, JSON, OPERATIONS, Operation
from server.web.openapi.schemas import EXAMPLE_ANSWER, Schema, schemas

_PROBLEM_JSON = "application/problem+json"
_ABOUT = (
    "A dynamic-batching image inference server: every image is answered within its deadline, or refused at once. "
    "Refusals say in Retry-After when to try again."
)
_HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-Timeout-Ms": (
        "Deadline in milliseconds, from the request's head",
        {"type": "integer", "minimum": 1, "maximum": 600_000},
    ),
    "Priority": ("Urgency (RFC 9218): u=0 is the most urgent, u=3 the default, u=7 the least", {"type": "string"}),
    "Cache-Control": ("no-store and no-cache ask for an answer of its own", {"type": "string"}),
}


class Limits(NamedTuple):
    """What the document says about sizes, in bytes."""

    image: int
    request: int


def document(routes: Iterable[tuple[str, str]], limits: Limits, *, keys: bool) -> dict[str, Any]:
    """The document for these methods and paths. `keys`: whether clients need one."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in routes:
        if (operation := OPERATIONS.get((method, path))) is None:
            continue  # a test sees to it that there is none
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, operation, limits)
    schemes = {"key": {"type": "http", "scheme": "bearer"}} if keys else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tureen", "version": version("tureen"), "description": _ABOUT},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas(), "securitySchemes": schemes},
        "security": [{"key": []}] if keys else [],
    }


def _operation(method: str, path: str, operation: Operation, limits: Limits) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": f"{method.lower()} {path}",
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_in_path(path), *_in_query(method, path), *(_in_headers() if operation.terms else ())],
        "responses": {
            **{str(status): _response(status, *body) for status, body in operation.gives.items()},
            **_problems((*operation.codes, *ALWAYS), problem=not path.startswith("/v2")),
        },
    }
    if operation.takes:
        most = limits.image if path.startswith("/v1/images") and ":" not in path else limits.request
        made["requestBody"] = {
            "required": True,
            "description": f"At most {most} bytes",
            "content": {media: {"schema": _ref(name)} for media, name in operation.takes.items()},
        }
    return made


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(method: str, path: str) -> list[dict[str, Any]]:
    if (method, path) == ("GET", "/debug/profile"):
        whole = {"type": "integer", "minimum": 1, "maximum": 60, "default": 5}
        return [{"name": "seconds", "in": "query", "required": False, "schema": whole}]
    if (method, path) != ("GET", "/v1/images"):
        return []
    schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    return [{"name": "hash", "in": "query", "required": True, "schema": schema}]


def _in_headers() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "description": text, "schema": schema}
        for name, (text, schema) in _HEADERS.items()
    ]


def _response(status: int, media: str, schema: str) -> dict[str, Any]:
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if media:
        content: dict[str, Any] = {"schema": _ref(schema)}
        if schema == "ImageAnswer":
            content["example"] = EXAMPLE_ANSWER
        made["content"] = {media: content}
    return made


def _problems(codes: Sequence[str], *, problem: bool) -> dict[str, Any]:
    """The responses with these codes, by status."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _with_problems(status, found, problem) for status, found in sorted(by_status.items())}


def _with_problems(status: int, codes: Sequence[str], problem: bool) -> dict[str, Any]:
    narrowed = {"allOf": [_ref("Problem"), {"properties": {"code": {"enum": list(codes)}}}]}
    texts = "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes)
    media = {_PROBLEM_JSON: {"schema": narrowed}}
    if not problem:
        media[JSON] = {"schema": narrowed}
    made: dict[str, Any] = {"description": texts, "content": media}
    if status in (429, 503):
        schema = {"type": "integer", "minimum": 1}
        made["headers"] = {"Retry-After": {"description": "Seconds after which to try again", "schema": schema}}
    return made


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
