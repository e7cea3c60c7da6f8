"""What a front has seen becomes what metrics would have seen."""

from types import SimpleNamespace

from batcher.stats import Stats
from server.contract.answer import Answer, Reply
from server.contract.metadata import ModelMetadata
from server.engine import Status
from server.telemetry.trace_context import TraceContext
from server.web.http.connections import Connections
from server.web.metrics import Metrics
from server.web.tally import Tally, decode, encode, replay

MODEL = ModelMetadata(name="m", version="1", digest="", inputs=(), outputs=(), provider="", answer="")
TRACE = TraceContext("a" * 32, "b" * 16, sampled=True)


IDLE = Status(Stats(0, 0, 0, 0, 0, 0.0, None, 0, 0, 0, 0, {}, {}, {}), 0)


def metrics():
    """Of a server that does nothing else."""
    return Metrics(SimpleNamespace(status=lambda: IDLE, connections=Connections(1)))


def see(counting):
    """Three requests."""
    reply = Reply(MODEL, b"", 1.0, 0.003, 0.01, 4)
    counting.observe(Answer("id", "hash", reply), 0.002, 0.02, 3, TRACE)
    counting.observe(Answer("id", "hash", reply._replace(source="cache")), 0.0, 0.001)
    counting.failed("queue_full", 0.004, 5, None)
    for outcome in ("ok", "ok", "queue_full"):
        counting.count("/v1/images", outcome)


def test_metrics_hear_what_a_front_has_seen():
    """Across a socket, and once."""
    direct, told, tally = metrics(), metrics(), Tally()

    see(direct)
    see(tally)
    replay(decode(encode(tally.take())), told, {("m", "1"): MODEL})

    accept = "application/openmetrics-text; version=1.0.0"
    assert without_times(direct.render(accept)[0]) == without_times(told.render(accept)[0])
    assert direct.statistics.of(MODEL)["inference_stats"] == told.statistics.of(MODEL)["inference_stats"]
    assert tally.take() is None


def without_times(page):
    """Exemplars say when they were seen."""
    return [line.rsplit(" ", 1)[0] if " # " in line else line for line in page.decode().splitlines()]
