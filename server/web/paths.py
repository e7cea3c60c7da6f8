"""What a path means: the models it asks for, the scope it needs, and its name in metrics. Pure.

POST /v1/images                                 the default model
POST /v1/images?model=food&version=3            another one
POST /v1/images?model=food&model=safety         several
POST /v1/models/food/images
POST /v1/models/food/versions/3/images
PUT  /v1/images/{id}, POST /v1/images:batch     images, too
/v2/…, /inference.GRPCInferenceService/…        the Open Inference Protocol, by REST and by gRPC
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from server.web.errors import RequestError

Target = tuple[str, str]
"""A model and a version; empty where the server decides."""

DEFAULT: Final[tuple[Target, ...]] = (("", ""),)
MOST_MODELS: Final = 8

FORM: Final = "/try"
"""Where the page's form goes without scripts: answered as a page."""
INFER: Final = "/v2/models/{model}/infer"
"""What inference requests are called in traces and the prediction log."""
OPEN: Final = frozenset({"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""For load balancers, which have no keys."""
RPC: Final = "/inference.GRPCInferenceService/"
"""Begins the path of each call of the gRPC front."""
PUBLIC: Final = OPEN | {"/openapi.json", "/docs", f"{RPC}ServerLive", f"{RPC}ServerReady"}
"""For everybody, whoever it is."""

OF_OPERATORS: Final = ("/v1/models", "/v2/repository/")
"""Begin the paths that change models."""

IMAGES = "/v1/images"
_BATCH = "/v1/images:batch"
_V2 = "/v2"
_REPOSITORY = ("/v2/repository/", f"{RPC}Repository")
_OF_MODEL = re.compile(r"/v1/models/([^/]{1,64})(?:/versions/([^/]{1,64}))?/images")
_SCOPES: Final[Mapping[str, str]] = {
    "/": "infer", IMAGES: "infer", _BATCH: "infer", _V2: "infer", "/metrics": "metrics", "/watch": "metrics",
    "/watch/events": "metrics",
}  # fmt: skip
_RESOURCES: Final[Mapping[str, str]] = {
    IMAGES: "images",
    FORM: "images",
    _BATCH: "images",
    "/metrics": "metrics",
    **dict.fromkeys(OPEN, "health"),
}


def takes_images(path: str) -> bool:
    """Whether images are sent to this path."""
    return path in (IMAGES, FORM) or (path.startswith("/v1/models/") and _OF_MODEL.fullmatch(path) is not None)


def is_limited(method: str, path: str) -> bool:
    """Whether a client's limits hold for what is sent there."""
    if method == "PUT":
        return path.startswith("/v1/images/")
    return method == "POST" and (takes_images(path) or path in (_BATCH, f"{RPC}ModelInfer") or _infers(path))


def _infers(path: str) -> bool:
    return path.startswith("/v2/models/") and path.endswith("/infer")


def targets(path: str, query: bytes) -> tuple[Target, ...]:
    """The models that are to answer an image sent here. Raises `RequestError` bad_model."""
    if path in (IMAGES, FORM):
        return _asked(query) if query else DEFAULT
    found = _OF_MODEL.fullmatch(path)
    if found is None:
        raise RequestError("not_found")
    return ((found[1], found[2] or ""),)


def scope_of(method: str, path: str) -> str:
    """The scope that a request needs."""
    if path == IMAGES and method in ("GET", "HEAD"):
        return "records"
    if scope := _SCOPES.get(path):
        return scope
    if path.startswith("/v1/images/"):
        return "infer" if method == "PUT" or path.endswith("/outcome") else "records"
    if path.startswith(("/v2/", RPC)):
        return "admin" if path.startswith(_REPOSITORY) else "infer"
    return "infer" if takes_images(path) else "admin"


def resource_of(path: str) -> str:
    """What a path is called in metrics and logs: one of a few."""
    if path.startswith(RPC):
        return "grpc_infer" if path.endswith("/ModelInfer") else "grpc_models"
    if resource := _RESOURCES.get(path):
        return resource
    if path.startswith("/v1/models"):
        return "images" if takes_images(path) else "models"
    if path.startswith("/v2/"):
        return "infer" if _infers(path) else "models"
    return "other"


def _asked(query: bytes) -> tuple[Target, ...]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise RequestError("bad_model") from None
    models = [value for name, value in pairs if name == "model"]
    versions = [value for name, value in pairs if name == "version"]
    if len(models) > MOST_MODELS or len(set(models)) < len(models) or "" in models:
        raise RequestError("bad_model")
    if len(versions) > 1 or (versions and len(models) > 1):
        raise RequestError("bad_model")
    version = versions[0] if versions else ""
    return tuple((model, version) for model in models or [""])
