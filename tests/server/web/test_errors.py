"""The one table from errors to HTTP is complete, and its documents say what they must."""

import json

import pytest
from starlette.exceptions import HTTPException

import batcher
import preprocess.errors as image_errors
from preprocess.errors import ImageError
from server.cleanup.reading import Unavailable
from server.cleanup.spool import SpoolRefused
from server.contract.errors import ImageRejected, TaskError
from server.drift.reference import BadReference
from server.engine.cache.shared import StoreFailed as CacheFailed
from server.engine.loading import LoadFailed
from server.repository.errors import Conflict, NoSuchModel, StateError, StoreFailed
from server.rollout.state import BadPlan, RolloutError
from server.web.errors import CODES, PROBLEMS, RequestError, code_of, problem_response


def leaves(base):
    below = base.__subclasses__()
    return {leaf for child in below for leaf in leaves(child)} if below else {base}


def test_every_public_error_has_a_row():
    """An error added to batcher, preprocess or the contract without a status fails here, not at 3 a.m."""
    public = leaves(batcher.BatcherError) | leaves(ImageError) | leaves(TaskError) - {ImageRejected}

    models = {LoadFailed, NoSuchModel, StateError, Conflict, StoreFailed, BadPlan, RolloutError, BadReference}
    storage = {SpoolRefused, Unavailable, CacheFailed}

    assert public | models | storage == CODES.keys()


def test_every_code_has_a_problem_and_every_image_error_keeps_its_code():
    """Codes travel from a worker as text; both spellings are one."""
    assert set(CODES.values()) <= PROBLEMS.keys()
    for error in leaves(ImageError):
        assert error.code == CODES[error] == code_of(ImageRejected(error.code))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("body_too_large"), "body_too_large"),
        (HTTPException(404), "not_found"),
        (HTTPException(405), "method_not_allowed"),
        (HTTPException(418), "internal_error"),
        (ZeroDivisionError(), "internal_error"),
        (image_errors.NotAnImage(), "not_an_image"),
    ],
)
def test_code_of_an_error(error, code):
    """What nobody planned for is ours to answer for."""
    assert code == code_of(error)


def document(error):
    response = problem_response(error, "r-1")
    return response, json.loads(response.body)


def test_refusal_carries_its_wait():
    """503: whole seconds, at least one, and milliseconds, both of the same jittered wait."""
    response, body = document(batcher.QueueFull("full", 2.0))

    assert 503 == response.status_code
    assert int(response.headers["retry-after"]) in (2, 3)
    assert 2000 <= body["retry_after_ms"] <= 3000


def test_short_wait_is_one_second_in_whole_seconds():
    """Retry-After: 0 would mean a stampede."""
    response, body = document(batcher.WouldBeLate("late", 0.004))

    assert "1" == response.headers["retry-after"]
    assert 4 <= body["retry_after_ms"] <= 6


def test_jitter_spreads_the_waits():
    """Those refused together do not come back together."""
    assert 1 < len({document(batcher.QueueFull("full", 60.0))[1]["retry_after_ms"] for _ in range(20)})


def test_other_errors_carry_no_wait_and_echo_nothing():
    """A 4xx says what is wrong in our words; what the exception says stays inside."""
    response, body = document(ValueError("secret of a client"))

    assert "retry-after" not in response.headers
    assert b"secret" not in response.body
    assert {"type", "title", "status", "code", "request_id"} == body.keys()
    assert (500, "r-1") == (body["status"], body["request_id"])
