"""When the client tries again: decided without a server, a clock or a wait."""

import pytest

from server.client.attempts import Attempts, RetryBudget
from server.client.errors import DeadlineExceeded, Failed, Refused, Unreachable

REFUSED = {"code": "queue_full", "title": "The queue is full", "retry_after_ms": 250}


def attempts(retries=2, budget=None, deadline=None):
    """Give a request made at second 0."""
    return Attempts(retries, budget or RetryBudget(), deadline, 0.0, uniform=lambda low, high: high)


@pytest.mark.parametrize("status", [429, 503])
def test_the_servers_wait_is_obeyed(status):
    """To the millisecond if it says so, else in whole seconds."""
    assert 0.25 == attempts().after_response(status, REFUSED, "1", 0.0)
    assert 3.0 == attempts().after_response(status, {}, "3", 0.0)


def test_tries_are_counted():
    """The last one raises what the server said."""
    one = attempts(retries=1)
    one.after_response(503, REFUSED, "", 0.0)

    with pytest.raises(Refused) as caught:
        one.after_response(503, REFUSED, "", 0.0)

    assert ("queue_full", 0.25) == (caught.value.code, caught.value.retry_after_s)


def test_no_try_begins_past_the_deadline():
    """The refusal is raised at once, while somebody else might still answer."""
    with pytest.raises(Refused):
        attempts(deadline=0.2).after_response(503, REFUSED, "", 0.0)


def test_retries_are_a_part_of_all_requests():
    """Once the savings are spent, of ten requests one may try again."""
    budget = RetryBudget(ratio=0.1, most=2.0)
    tried = 0
    for _ in range(102):
        try:
            attempts(budget=budget).after_response(503, REFUSED, "", 0.0)
            tried += 1
        except Refused:
            pass

    assert 2 + 10 == tried


@pytest.mark.parametrize(("status", "error"), [(415, Failed), (422, Failed), (500, Failed), (504, DeadlineExceeded)])
def test_what_another_try_would_not_change_is_raised(status, error):
    """At once."""
    with pytest.raises(error):
        attempts().after_response(status, {"code": "x"}, "", 0.0)


def test_waits_grow_where_no_server_names_one():
    """Up to twice as long each time."""
    one = attempts(retries=3)

    assert [0.05, 0.1, 0.2] == [one.after_failure("gone", 0.0) for _ in range(3)]
    with pytest.raises(Unreachable, match="gone"):
        one.after_failure("gone", 0.0)


def test_the_rest_of_the_time_is_told():
    """To each try; past the deadline there is none."""
    one = attempts(deadline=2.0)

    assert 1.5 == one.left_s(0.5)
    with pytest.raises(DeadlineExceeded):
        one.left_s(2.0)
