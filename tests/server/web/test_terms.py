"""What a client may ask for in its request's head."""

import pytest

from server.access.principal import Principal
from server.web.errors import RequestError
from server.web.terms import Terms, read_terms


@pytest.mark.parametrize(
    ("priority", "urgency"),
    [
        ("", 3), ("u=0", 0), ("u=7", 7), ("i, u=5", 5), ("u=1, i", 1), ("u=8", 3), ("u=-1", 3), ("u=12", 3),
        ("u=x", 3), ("u", 3), ("U=1", 3), ("u=²", 3), ("\tu=1\t", 1), ("i=1, u=2", 2), ("u=1=", 3), ("Xu=1", 3),
        ("\vu=1", 3),
    ],
)  # fmt: skip
def test_urgency_is_read_as_rfc_9218_has_it(priority, urgency):
    """A value out of range or malformed counts as absent."""
    assert Terms(None, urgency) == read_terms({b"priority": priority.encode()})


@pytest.mark.parametrize(
    ("scopes", "urgencies"), [(("urgent",), [0, 3, 7]), (("admin",), [0, 3, 7]), (("infer",), [3, 3, 7])]
)
def test_urgency_above_the_default_is_for_those_with_the_scope(scopes, urgencies):
    """Others get the default; everybody may be less urgent."""
    principal = Principal("key:k", frozenset(scopes))

    assert urgencies == [Terms(None, asked).urgency_for(principal) for asked in (0, 3, 7)]


@pytest.mark.parametrize(
    ("control", "reuse"),
    [
        ("no-store", "never"), ("no-cache", "refresh"), ("No-Store", "never"), ("max-age=0, no-cache", "refresh"),
        ("no-cache,\tno-store ", "never"), ("max-age=0", "allowed"), ("no-cache=field", "refresh"),
        ("no-store=1", "never"), ("no-storeX", "allowed"), ("Xno-cache", "allowed"), ("no-cache=a=b", "refresh"),
        ("", "allowed"), ("max-age=0,no-store", "never"), ("\vno-store", "allowed"),
    ],
)  # fmt: skip
def test_cache_control_says_whether_an_earlier_answer_will_do(control, reuse):
    """Directives of no meaning here are ignored, as RFC 9111 asks."""
    assert reuse == read_terms({b"cache-control": control.encode()}).reuse


@pytest.mark.parametrize(("key", "sticky"), [("me", "me"), ("x" * 256, "x" * 256), ("x" * 257, ""), ("", "")])
def test_client_key_counts_up_to_256_bytes(key, sticky):
    """What makes no sense as a key is none."""
    assert sticky == read_terms({b"x-client-key": key.encode()}).sticky


def test_client_key_may_hold_any_byte():
    """It is only compared."""
    assert "\xff" == read_terms({b"x-client-key": b"\xff"}).sticky


def test_head_that_asks_for_nothing_gets_the_defaults():
    """The server's SLO, the default urgency, any answer."""
    assert (None, 3, "allowed", "") == read_terms({})


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
