"""The traceparent header, by the W3C specification."""

import pytest

from server.telemetry.trace_context import begun, continued, is_within

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_context_continues_its_callers():
    """Same trace, caller's span as the parent, a span of its own."""
    context = continued(f"00-{TRACE}-{SPAN}-01".encode(), b"vendor=1")

    assert (TRACE, SPAN, True, "vendor=1") == (context.trace_id, context.parent_id, context.sampled, context.state)
    assert f"00-{TRACE}-{context.span_id}-01" == context.header()
    assert context.span_id != SPAN


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_what_is_not_valid_is_ignored(header):
    """The request then begins a trace of its own."""
    assert continued(header.encode()) is None


def test_later_versions_may_say_more():
    """What they add is ignored."""
    assert TRACE == continued(f"01-{TRACE}-{SPAN}-09-what".encode()).trace_id


def test_the_share_that_is_sampled_is_the_share_asked_for():
    """The same traces in every replica: it depends on the id alone."""
    ids = [begun().trace_id for _ in range(20_000)]

    assert 0.08 < sum(is_within(one, 0.1) for one in ids) / len(ids) < 0.12
    assert not any(is_within(one, 0.0) for one in ids)
    assert all(is_within(one, 1.0) for one in ids)
