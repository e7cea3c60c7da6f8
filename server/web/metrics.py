"""What Prometheus sees. Label sets are fixed: nothing a client sends becomes a label."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from batcher.policy import DEFAULT_URGENCY
from batcher.scheduling.confidence import BOUNDS_S
from server.contract.answer import Answer
from server.engine import Status
from server.engine.intake import LaneStatus
from server.telemetry.trace_context import TraceContext
from server.web.answer_metrics import AnswerMetrics
from server.web.http.connections import Counts
from server.web.keeping import Figures
from server.web.oip.statistics import Statistics
from server.web.paths import resource_of

_REASONS = ("crash", "hang", "memory", "cpu")
_STAGES = ("waiting", "running")
_DROPS = ("preempted", "unmeetable")
_BEYOND = ("answered", "refused", "ended")
_LOOKUPS = ("hit", "coalesced", "miss")
_FAULTS = ("timeout", "unreachable", "open", "mismatch", "garbage", "full")
_ACTIONS = ("load", "unload", "promote", "rollback")
_SPOOL = ("full", "disk")
_STORE = ("unreachable", "refused", "busy", "disk")
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Source(Protocol):
    """Where the gauges are read when Prometheus asks."""

    def status(self) -> Status: ...

    connections: Counts


class Metrics:
    """All metrics of one web process, in a registry of their own."""

    def __init__(
        self, source: Source, storage: Callable[[], Figures] | None = None, others: Iterable[Collector] = ()
    ) -> None:
        """`storage`: None where nothing is kept. `others`: what else has metrics."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, of no use to anybody here
        self.registry = registry = CollectorRegistry()
        registry.register(_StateCollector(source))
        if storage:
            registry.register(_StorageCollector(storage))
        for other in others:
            registry.register(other)
        self.answers = AnswerMetrics(registry)
        self.statistics = Statistics()
        """Of the same answers, for the Open Inference Protocol."""
        self.counts: dict[tuple[str, str], int] = {}
        """Requests so far by resource and outcome."""
        registry.register(_RequestCollector(self.counts))
        self._auth = Counter(
            "tureen_auth_refusals", "Requests whose credentials were refused, by reason", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.refusal_delay = Histogram(
            "tureen_refusal_delay_seconds", "How late refusals are told to clients that asked again too soon",
            buckets=_LAG_S, registry=registry,
        )  # fmt: skip
        self.loop_lag = Histogram(
            "tureen_event_loop_lag_seconds", "How late the event loop runs a timer", buckets=_LAG_S,
            registry=registry,
        )  # fmt: skip

    def count(self, path: str, outcome: str) -> str:
        """One request has ended. `outcome` comes from a fixed set; so does what `path` becomes, which is returned."""
        resource = resource_of(path)
        self.counts[resource, outcome] = self.counts.get((resource, outcome), 0) + 1
        return resource

    def count_auth_refusal(self, reason: str) -> None:
        """Credentials were refused. `reason`: one of `server.access.errors.REASONS`."""
        self._auth.labels(reason).inc()

    def observe(
        self,
        answer: Answer,
        queue_s: float,
        total_s: float,
        urgency: int = DEFAULT_URGENCY,
        trace: TraceContext | None = None,
    ) -> None:
        """One image was answered. `trace`: an exemplar, if it is sampled."""
        self.statistics.observe(answer, queue_s, total_s)
        self.answers.answered(answer, queue_s, total_s, urgency, trace)

    def failed(self, code: str, total_s: float, urgency: int, trace: TraceContext | None) -> None:
        """An image was refused, or failed: which model would have answered is not said."""
        self.answers.failed(code, total_s, urgency, trace)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its media type: OpenMetrics, with exemplars, for who accepts it; else Prometheus' text."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type


class _RequestCollector(Collector):
    """Requests by how they ended."""

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        text = "Requests by resource and outcome: ok, a problem code, or client_gone"
        family = CounterMetricFamily("tureen_requests", text, labels=["resource", "outcome"])
        for (resource, outcome), count in self._counts.items():
            family.add_metric([resource, outcome], count)
        yield family


class _StateCollector(Collector):
    """Gauges and counters that others own, read at the moment of asking."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        status, source = self._source.status(), self._source
        stats = status.stats
        yield _gauge("queue_images", "Images waiting for a worker", stats.waiting)
        yield _gauge("running_images", "Images with a worker", stats.running)
        yield _gauge("held_bytes", "Encoded bytes of images not yet answered", stats.held_bytes)
        yield _gauge("arriving_bytes", "Bytes held by uploads under way", status.arriving_bytes)
        yield _gauge("queue_oldest_seconds", "How long the oldest waiting image has waited", stats.oldest_s)
        yield _info(status)
        yield _gauge("workers", "Workers there should be", status.workers)
        yield _gauge("workers_ready", "Workers that are ready", stats.executors)
        yield _gauge(
            "capacity_images_per_second",
            "Images that the ready workers answer per second, as lately measured",
            stats.executors / stats.seconds_per_job if stats.seconds_per_job else 0.0,
        )
        yield _by("worker_restarts", "Workers replaced, by reason", "reason", status.restarts, _REASONS)
        yield _counter("accepted_images", "Images that were queued", stats.accepted)
        yield _counter("answered_images", "Images with an answer", stats.answered)
        yield _counter("failed_images", "Images with an error of their own", stats.failed)
        yield _counter("retried_images", "Images sent again after their worker died", stats.retried)
        yield _counter(
            "batch_differences",
            "Images answered otherwise in a batch than alone, of those looked at",
            status.differences,
        )
        yield _gauge("one_at_a_time", "1 if images are run one at a time for that", status.separated)
        yield _gauge("connections", "Open connections", source.connections.open)
        yield _counter("connections_refused", "Connections past the limit", source.connections.rejected)
        yield _counter("slow_heads", "Connections closed for a late request head", source.connections.slow_heads)
        yield _by("expired_images", "Deadlines that passed, by stage", "stage", stats.expired, _STAGES)
        yield _by("cancelled_images", "Images whose client left, by stage", "stage", stats.cancelled, _STAGES)
        yield _by("dropped_images", "Images accepted and refused after all", "reason", stats.dropped, _DROPS)
        yield _by(
            "reused_answers", "Answers by where they came from: cache, flight, or an inference of their own", "outcome",
            status.reuse.lookups, _LOOKUPS,
        )  # fmt: skip
        yield _by(
            "cache_errors", "Failures of the result cache, each a miss", "reason", status.reuse.cache_errors, _FAULTS
        )
        yield _by(
            "beyond_share_images", "Images of clients that asked for more than their share, by outcome", "outcome",
            status.beyond_share, _BEYOND,
        )  # fmt: skip
        yield _gauge("cache_entries", "Answers kept in memory", status.reuse.cache_entries)
        yield _gauge("cache_bytes", "Memory taken by answers that are kept", status.reuse.cache_bytes)
        yield _counter("shared_decodes", "Images given to a model as another had prepared them", status.shared_decodes)
        yield from _of_lanes(status.lanes)
        yield _changes(status.changes)
        yield _gauge("slowdown", "Factor by which work takes longer than was measured at start", stats.slowdown)
        yield _gauge("decode_cost_factor", "Factor by which decoding takes longer than expected", stats.prep_factor)
        yield _errors(status.lanes)


class _StorageCollector(Collector):
    """What is on its way to the store."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = self._figures()
        yield _gauge("spool_images", "Images on their way to the store", now.spooled)
        yield _gauge("spool_bytes", "Bytes on their way to the store", now.spooled_bytes)
        yield _by("spool_refused", "Images not put into the spool, by reason", "reason", now.refused, _SPOOL)
        yield _counter("stored_images", "Images put into the store since clean-up started", now.stored)
        yield _by("store_errors", "Failed tries to store an image, by reason", "reason", now.errors, _STORE)


def _errors(lanes: Sequence[LaneStatus]) -> Metric:
    text = "Actual less predicted finish, in seconds; positive where the answer came later"
    family = HistogramMetricFamily("tureen_prediction_error_seconds", text, labels=["model", "version"])
    for lane in lanes:
        buckets, total = [], 0
        errors = lane.stats.prediction_errors
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), errors.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([lane.model, lane.version], buckets, errors.sum_s)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tureen_{name}", text, value=value)


def _info(status: Status) -> Metric:
    labels = ["model", "version", "hash"]
    family = GaugeMetricFamily("tureen_model_info", "1 for each version that answers by default", labels=labels)
    for lane in status.lanes:
        if lane.metadata and lane.stage == "serving":
            family.add_metric([lane.model, lane.version, lane.metadata.digest], 1)
    return family


def _of_lanes(lanes: Sequence[LaneStatus]) -> Iterator[Metric]:
    """What the sums above do not say: which version waits, refuses, or lacks workers."""
    kinds: list[tuple[str, str, Callable[[LaneStatus], float], type[GaugeMetricFamily | CounterMetricFamily]]] = [
        ("queue_images", "Images waiting, by version", lambda lane: lane.stats.waiting, GaugeMetricFamily),
        ("running_images", "Images with a worker, by version", lambda lane: lane.stats.running, GaugeMetricFamily),
        ("workers_ready", "Workers that are ready, by version", lambda lane: lane.stats.executors, GaugeMetricFamily),
        ("accepted_images", "Images queued, by version", lambda lane: lane.stats.accepted, CounterMetricFamily),
        ("answered_images", "Images answered, by version", lambda lane: lane.stats.answered, CounterMetricFamily),
        ("refused_images", "Images refused, by version",
         lambda lane: sum(lane.stats.refused.values()) + sum(lane.stats.dropped.values()), CounterMetricFamily),
    ]  # fmt: skip
    for name, text, value, kind in kinds:
        family = kind(f"tureen_lane_{name}", text, labels=["model", "version"])
        for lane in lanes:
            family.add_metric([lane.model, lane.version], value(lane))
        yield family


def _changes(changes: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily("tureen_model_changes", "Changes of version, by result", labels=["action", "result"])
    for action in _ACTIONS:
        for result in ("ok", "failed"):
            family.add_metric([action, result], changes.get(f"{action} {result}", 0))
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tureen_{name}", text, value=value)


def _by(name: str, text: str, label: str, counts: Mapping[str, int], values: Sequence[str]) -> Metric:
    family = CounterMetricFamily(f"tureen_{name}", text, labels=[label])
    for value in values:
        family.add_metric([value], counts.get(value, 0))
    return family
