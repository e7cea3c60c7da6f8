"""What an answer says of itself is read where it is said, and nothing is made up where it is not."""

from math import isnan

import pytest

from server.commands.bench.answer import batch, retry_after, timings, top_label

HEAD = b"HTTP/1.1 200 OK\r\nServer-Timing: upload;dur=0.3, queue;dur=0.6, decode;desc=x;dur=2.4, infer;dur=12\r\n\r\n"


def test_times_are_seconds():
    """In whatever order and with whatever else."""
    assert pytest.approx((0.0006, 0.0024, 0.012)) == timings(HEAD)


@pytest.mark.parametrize(
    "head", [b"\r\n\r\n", b"\r\nserver-timing: cache;dur=1\r\n", b"\r\nserver-timing: queue;dur=.\r\n"]
)
def test_no_times_are_no_numbers(head):
    """Other servers say nothing, or something else."""
    assert all(isnan(value) for value in timings(head))


@pytest.mark.parametrize(("body", "size"), [(b'{"a":1,"batch":12}', 12), (b'{"batch": 3,"a":1}', 3), (b"{}", 0)])
def test_the_batch(body, size):
    """Zero where it is not said."""
    assert size == batch(body)


def test_when_to_come_back():
    """The problem document is finer than the header."""
    head = b"HTTP/1.1 503 X\r\nRetry-After: 2\r\n\r\n"

    assert 1.25 == retry_after(head, b'{"retry_after_ms":1250}')
    assert 2.0 == retry_after(head, b"{}")
    assert isnan(retry_after(b"\r\n\r\n", b""))


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b'{"id":"x","predictions":[{"label":"soup","score":1},{"label":"salad"}]}', "soup"),
        (b'{"predictions":[]}', None),
        (b'{"predictions":[{"score":1}]}', None),
        (b'{"label":"soup"}', None),
        (b"soup", None),
        (b"\xff", None),
    ],
)
def test_the_top_label(body, label):
    """None where there is no such answer: then it is wrong."""
    assert label == top_label(body)
