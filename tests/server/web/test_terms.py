"""What a client may ask for in its request's head."""

import pytest

from server.web.errors import RequestError
from server.web.terms import Terms, read_terms


@pytest.mark.parametrize(
    ("priority", "urgency"),
    [
        ("", 3), ("u=0", 0), ("u=7", 7), ("i, u=5", 5), ("u=1, i", 1), ("u=8", 3), ("u=-1", 3), ("u=12", 3),
        ("u=x", 3), ("u", 3), ("U=1", 3), ("u=²", 3),
    ],
)  # fmt: skip
def test_urgency_is_read_as_rfc_9218_has_it(priority, urgency):
    """A value out of range or malformed counts as absent."""
    assert Terms(None, urgency) == read_terms({b"priority": priority.encode()})


@pytest.mark.parametrize(("given", "seconds"), [("1", 0.001), ("250", 0.25), ("600000", 600.0)])
def test_timeout_is_milliseconds(given, seconds):
    """The header counts milliseconds from the request's head."""
    assert Terms(seconds, 3) == read_terms({b"x-request-timeout-ms": given.encode()})


@pytest.mark.parametrize("given", ["", "0", "-5", "1.5", "1e3", "600001", "9" * 400, "¹", "soon"])
def test_timeout_that_makes_no_sense_is_an_error(given):
    """A client that names a deadline means it: guessing would break a promise."""
    with pytest.raises(RequestError) as raised:
        read_terms({b"x-request-timeout-ms": given.encode()})

    assert "bad_timeout" == raised.value.code
