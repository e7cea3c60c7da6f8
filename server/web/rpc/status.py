"""From errors to gRPC: the status, and when to try again."""

import math
from typing import Final, NamedTuple

import grpc

from server.web.errors import PROBLEMS, code_of, wait_s
from server.web.oip.errors import text_of, unwrapped

_BY_STATUS: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""gRPC's code for each HTTP status."""
_BY_CODE: Final = {"deadline_unmeetable": grpc.StatusCode.DEADLINE_EXCEEDED}
CODES: Final = frozenset({*_BY_STATUS.values(), grpc.StatusCode.OK, grpc.StatusCode.CANCELLED})
"""Every status that a call can end with, gRPC's own among them."""


class Status(NamedTuple):
    """How a call ends that has no answer. `code`: of `PROBLEMS`."""

    status: grpc.StatusCode
    text: str
    code: str
    trailers: tuple[tuple[str, str], ...]


def status_of(error: Exception) -> Status:
    """The status for an error, with `retry-after` in seconds where trying again may help, and gRPC's push-back."""
    cause = unwrapped(error)
    code = code_of(cause)
    problem = PROBLEMS[code]
    trailers = [("tureen-code", code)]
    if problem.status in (429, 503):
        within_s = wait_s(cause)
        trailers.append(("retry-after", str(max(1, math.ceil(within_s)))))
        trailers.append(("grpc-retry-pushback-ms", str(math.ceil(within_s * 1000))))
    return Status(_BY_CODE.get(code) or _BY_STATUS[problem.status], text_of(error), code, tuple(trailers))
