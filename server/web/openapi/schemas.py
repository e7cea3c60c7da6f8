"""The schemas that the document refers to: of answers from their structs, of problems from their table."""

from typing import Any, Final

import msgspec

from server.contract.answer import ImageAnswer
from server.web.errors import PROBLEMS

Schema = dict[str, Any]

EXAMPLE_ANSWER: Final = {
    "id": "01a22206-2f5a-7c0b-9b0e-1f1a5b0c9b11",
    "hash": "6209f2c2bfce06593914dab184448a3f",
    "model": {"name": "colourfulness", "version": "1"},
    "predictions": [
        {"label": "averagely colourful", "score": 0.711605},
        {"label": "quite colourful", "score": 0.288395},
        {"label": "not colourful", "score": 0.0},
    ],
    "score": 3.0,
    "tip": "A pleasant look: a bright garnish in the middle would draw the eye.",
    "timing": {"upload": 0.264, "queue": 0.493, "decode": 1.067, "infer": 1.521, "total": 3.786},
    "batch": 1,
}
"""Of the demo model."""


def schemas() -> dict[str, Schema]:
    """All of them, by name."""
    _, components = msgspec.json.schema_components([ImageAnswer], ref_template="#/components/schemas/{name}")
    return {**components, **_OURS, "Problem": _problem()}


def _problem() -> Schema:
    return _object(
        {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer", "enum": sorted({problem.status for problem in PROBLEMS.values()})},
            "code": {"type": "string", "enum": sorted(PROBLEMS)},
            "request_id": {"type": "string"},
            "retry_after_ms": {"type": "integer", "description": "Milliseconds after which to try again"},
            "shortest_ms": {"type": "integer", "description": "The shortest deadline that can be met"},
            "error": {"type": "string", "description": "The same in words, below /v2"},
        },
        "title", "status", "code", "request_id",
    )  # fmt: skip


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_BASE64: Schema = {"type": "string", "description": "An image in base64, or as a data: URL"}
_BINARY: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
_PARAMETERS: Schema = {"type": "object", "additionalProperties": {"type": ["boolean", "number", "string"]}}
_SHAPE = _list({"type": "integer", "minimum": -1})
_TENSOR = _object({"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE}, "name", "datatype", "shape")
_DATA: Schema = {"type": "array", "description": "Numbers, flat or nested; of BYTES, images in base64"}
_FILLED = _object(
    {"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE, "parameters": _PARAMETERS, "data": _DATA},
    "name", "datatype", "shape",
)  # fmt: skip

_OURS: dict[str, Schema] = {
    "Binary": _BINARY,
    "Text": _TEXT,
    "Object": {"type": "object"},
    "ImageForm": _object({"image": _BINARY}, "image"),
    "ImagesForm": _object({"image": _list(_BINARY)}, "image"),
    "ImageInJson": _object({"image": _BASE64}, "image"),
    "ImagesInJson": _object({"images": {**_list(_BASE64), "minItems": 1, "maxItems": 256}}, "images"),
    "Line": _object({"index": _INTEGER, "status": _INTEGER}, "index", "status"),
    "Pending": _object({"id": _TEXT, "status": _TEXT, "stored": _TEXT}, "id"),
    "Ids": _object({"hash": _TEXT, "ids": _list(_TEXT)}, "hash", "ids"),
    "Record": _object({"id": _TEXT, "hash": _TEXT, "time": _TEXT, "answer": {"type": "object"}}, "id", "hash", "time"),
    "Server": _object({"name": _TEXT, "version": _TEXT, "extensions": _list(_TEXT)}, "name", "version", "extensions"),
    "Live": _object({"live": {"const": True}}, "live"),
    "Ready": _object({"ready": {"const": True}}, "ready"),
    "Event": _object({"event": _TEXT, "data": _TEXT, "retry": {"type": "integer"}}, "data"),
    "Index": _list(_object({"name": _TEXT, "version": _TEXT, "state": _TEXT, "reason": _TEXT}, "name", "version")),
    "Models": _object({"models": _list(_TEXT)}, "models"),
    "Model": _object(
        {
            "name": _TEXT, "versions": _list(_TEXT), "platform": _TEXT,
            "inputs": _list(_TENSOR), "outputs": _list(_TENSOR),
        },
        "name", "versions", "platform", "inputs", "outputs",
    ),
    "InferRequest": _object(
        {
            "id": _TEXT,
            "parameters": _PARAMETERS,
            "inputs": _list(_FILLED),
            "outputs": _list(_object({"name": _TEXT, "parameters": _PARAMETERS}, "name")),
        },
        "inputs",
    ),
    "InferResponse": _object(
        {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": _list(_FILLED)},
        "model_name", "outputs",
    ),
}  # fmt: skip
