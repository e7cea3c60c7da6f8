"""Errors as the protocol has them: `{"error": "…"}`, with the members of a problem document beside it."""

import msgspec

from server.contract.errors import TensorRejected, UnknownModel
from server.web.errors import PROBLEMS, code_of, problem_response
from server.web.oip.inference import EntryFailed, InvalidInference
from server.web.response import RawResponse

_TOLD = (InvalidInference, TensorRejected, UnknownModel)
"""Their messages are made for the client, of the model's names and of numbers."""


def unwrapped(error: Exception) -> Exception:
    """What is at fault, whichever of several images it is about."""
    return error.error if isinstance(error, EntryFailed) else error


def text_of(error: Exception) -> str:
    """What a client is told, in words."""
    cause = unwrapped(error)
    text = PROBLEMS[code_of(cause)].title
    if isinstance(cause, _TOLD):
        text = f"{text}: {getattr(cause, 'detail', cause)}"
    return f"{text} (image {error.index} of the batch)" if isinstance(error, EntryFailed) else text


def error_response(error: Exception, request_id: str) -> RawResponse:
    """As `problem_response`, in the protocol's form."""
    problem = problem_response(unwrapped(error), request_id)
    document = {"error": text_of(error), **msgspec.json.decode(problem.body)}
    headers = [(name, value) for name, value in problem.raw_headers if name not in (b"content-type", b"content-length")]
    headers.append((b"content-type", b"application/json"))
    return RawResponse(problem.status_code, headers, msgspec.json.encode(document))
