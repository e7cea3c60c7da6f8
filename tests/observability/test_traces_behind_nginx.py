"""Traces through nginx, two replicas, their workers and the store, as a real OTLP receiver gets them."""

from types import SimpleNamespace

import pytest

from tests.observability.whole_traces import ROOT, STAGES, breaches
from tests.soak.phase import Job
from tests.soak.traces import run

pytestmark = pytest.mark.timeout(200)


def test_each_image_sent_through_nginx_is_one_whole_trace_and_none_is_lost():
    """The short form of the phase `traces` of the soak: every goal is kept."""
    found = run(Job(seed=1, scale=0.01, say=lambda *_: None))

    assert found.kept, found
    assert found.raw["requests"] >= 200


def span(name, id_, parent, links=()):
    return SimpleNamespace(
        name=name, span_id=id_, parent_span_id=parent, links=[SimpleNamespace(span_id=one) for one in links]
    )


def whole():
    """One image's trace and that of its batch."""
    stages = [span(name, name.encode(), b"root", [b"batch"] if name == "infer" else ()) for name in STAGES]
    return {
        f"{1:032x}": [span(ROOT, b"root", (1).to_bytes(8, "big")), *stages],
        "batch": [span("batch", b"batch", b"", [b"infer"])],
    }


def missing(traces):
    traces[f"{1:032x}"].pop()


def twice(traces):
    traces[f"{1:032x}"] *= 2


def orphan(traces):
    traces[f"{1:032x}"][3].parent_span_id = b"elsewhere"


def astray(traces):
    traces["another"] = [span("queue", b"x", b"y")]


def unlinked(traces):
    traces["batch"][0].links.clear()


@pytest.mark.parametrize("change", [missing, twice, orphan, astray, unlinked])
def test_a_planted_breach_is_seen(change):
    """The judge of the test above is no blind one."""
    traces = whole()
    assert [] == breaches(traces, [1])
    change(traces)
    assert breaches(traces, [1])
