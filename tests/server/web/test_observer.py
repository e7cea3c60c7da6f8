"""What is told of a request, to whom, and how often."""

from preprocess.header import Header
from server.contract.answer import Answer, Reply
from server.contract.metadata import ModelMetadata
from server.process.access_log import AccessLog
from server.telemetry.record import Progress
from server.telemetry.trace_context import TraceContext
from server.telemetry.tracer import Tracer
from server.web.metrics import Metrics
from server.web.observer import Head, Observer
from tests.fakes_source import EmptySource

UNSAMPLED = TraceContext("1" * 32, "2" * 16)
MODEL = ModelMetadata(name="m", version="1", digest="", provider="")
_SLOW_S, _BURST = 0.6, 100


class Records(list):
    """An exporter that keeps what it is offered."""

    offer = list.append


class Asked:
    """A request for an image, as far as an observer looks at it."""

    def __init__(self, trace=UNSAMPLED, answered=False):
        self.scope = {"method": "POST", "path": "/v1/images"}
        self.id, self.trace, self.trace_id, self.received = "a", trace, trace.trace_id, 10.0
        self.progress = Progress()
        if answered:
            self.progress.uploaded, self.progress.header = 10.1, Header("jpeg", 4, 4)
            self.progress.answer = Answer("id", "hash", Reply(MODEL, b"", 10.2, 0.1, 0.05, 4))


def observer(records):
    return Observer(Metrics(EmptySource()), AccessLog(False), Tracer(records, 0.0, slo_s=1.0))


def test_an_answer_is_judged_once():
    """It was, before it was stored: a slow client of it makes no trace that lacks a span, and takes no place of
    another's."""
    records = Records()
    one = observer(records)

    for _ in range(_BURST + 1):
        one.ended(Asked(answered=True), "ok", 200, 10.0 + _SLOW_S)
    assert [] == records
    one.ended(Asked(), "deadline_exceeded", 504, 10.0 + _SLOW_S)
    one.ended(Asked(answered=True), "storage_unavailable", 503, 10.0 + _SLOW_S)
    assert ["deadline_exceeded", "storage_unavailable"] == [record.code for record in records]


def test_an_image_that_is_answered_later_is_told_of_once_at_its_end():
    """Its 202 is a request, and no failure."""
    records = Records()
    one, asked = observer(records), Asked(UNSAMPLED._replace(sampled=True))
    asked.progress.deferred = True

    one.ended(asked, "ok", 202, 10.1)
    assert [] == records
    one.concluded(asked, "ok", 200, 10.5)
    assert [0.5] == [record.total_s for record in records]
    assert [] == [key for key, _ in one.metrics.answers.total.items()]


def test_what_is_refused_by_its_head_is_counted_and_traced_if_it_is_sampled():
    """If it is an image: what is asked for otherwise has no trace."""
    records = Records()
    one = observer(records)
    sampled = UNSAMPLED._replace(sampled=True)

    one.refused(Head("a", "POST", "/v1/images"), "queue_full", 503, 10.0, UNSAMPLED)
    one.refused(Head("b", "POST", "/v1/images"), "queue_full", 503, 10.0, sampled)
    one.refused(Head("c", "GET", "/v1/images"), "malformed_request", 400, 10.0, sampled)

    assert ["b"] == [record.request_id for record in records]
    assert 2 == one.metrics.counts["images", "queue_full"]
