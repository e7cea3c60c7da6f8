"""Which requests are traced."""

from server.telemetry.trace_context import TraceContext
from server.telemetry.tracer import Tracer

UNSAMPLED = TraceContext("1" * 32, "2" * 16)
SAMPLED = UNSAMPLED._replace(sampled=True)


def tracer(share=0.0):
    return Tracer(None, share, slo_s=1.0)


def test_a_share_of_the_traces_that_begin_here_is_sampled():
    """All, or none, at the ends."""
    assert tracer(1.0).begin({}).sampled
    assert not tracer(0.0).begin({}).sampled


def test_a_caller_decides_for_its_own_trace():
    """Whatever the share here."""
    assert tracer(0.0).begin({b"traceparent": SAMPLED.header().encode()}).sampled
    assert not tracer(1.0).begin({b"traceparent": UNSAMPLED.header().encode()}).sampled


def test_slow_and_failed_requests_are_traced_and_refusals_are_not():
    """Slow is more than half the promise. Under overload refusals come by the thousand."""
    judge = tracer().judge

    assert not judge(UNSAMPLED, "ok", 200, 0.4, 1.0).sampled
    assert judge(UNSAMPLED, "ok", 200, 0.6, 1.0).sampled
    assert judge(UNSAMPLED, "model_error", 500, 0.1, 1.0).sampled
    assert judge(UNSAMPLED, "deadline_exceeded", 504, 0.1, 1.0).sampled
    assert not judge(UNSAMPLED, "queue_full", 503, 0.1, 1.0).sampled
    assert not judge(UNSAMPLED, "image_corrupt", 422, 0.1, 1.0).sampled


def test_slow_and_failed_requests_are_traced_at_a_bounded_rate():
    """When everything fails, a hundred examples do, and twenty more per second."""
    one = tracer()

    assert 100 == sum(one.judge(UNSAMPLED, "model_error", 500, 0.1, 5.0).sampled for _ in range(1000))
    assert 20 == sum(one.judge(UNSAMPLED, "model_error", 500, 0.1, 6.0).sampled for _ in range(1000))
    assert one.judge(SAMPLED, "model_error", 500, 0.1, 6.0).sampled
