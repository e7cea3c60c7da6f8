"""What Prometheus sees. Label sets are fixed: nothing a client sends becomes a label."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from batcher.scheduling.confidence import BOUNDS_S, ErrorHistogram
from server.contract.answer import Answer
from server.contract.metadata import ModelMetadata
from server.engine import Status
from server.engine.intake import LaneStatus
from server.web.http.connections import Connections
from server.web.keeping import Figures
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
_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Source(Protocol):
    """Where the gauges are read when Prometheus asks."""

    def status(self) -> Status: ...

    connections: Connections


class Metrics:
    """All metrics of one web process, in a registry of their own."""

    def __init__(self, source: Source, storage: Callable[[], Figures] | None = None) -> None:
        """`storage`: None where nothing is kept."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, of no use to anybody here
        self.registry = registry = CollectorRegistry()
        registry.register(_StateCollector(source))
        if storage:
            registry.register(_StorageCollector(storage))
        self._answers = _Answers(registry)
        self._requests = Counter(
            "tureen_requests", "Requests by resource and outcome: ok, a problem code, or client_gone",
            ["resource", "outcome"], registry=registry,
        )  # fmt: skip
        self._auth = Counter(
            "tureen_auth_refusals", "Requests whose credentials were refused, by reason", ["reason"],
            registry=registry,
        )  # fmt: skip
        self._counters: dict[tuple[str, str], Counter] = {}  # its children: finding one costs more than counting
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
        counter = self._counters.get((resource, outcome))
        if counter is None:
            counter = self._counters[resource, outcome] = self._requests.labels(resource, outcome)
        counter.inc()
        return resource

    def count_auth_refusal(self, reason: str) -> None:
        """Credentials were refused. `reason`: one of `server.access.errors.REASONS`."""
        self._auth.labels(reason).inc()

    def observe(self, answer: Answer, queue_s: float, total_s: float) -> None:
        """One image was answered."""
        of = self._answers.of(answer.model)
        of.total.observe(total_s)
        if answer.reply.source != "inference":  # one inference is observed once
            return
        of.queue.observe(queue_s)
        of.decode.observe(answer.reply.decode_s)
        of.infer.observe(answer.reply.infer_s)
        of.batch.observe(answer.reply.batch)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)


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
        yield _errors(stats.prediction_errors)


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


class _OfModel(NamedTuple):
    """The histograms of one model's answers."""

    queue: Histogram
    decode: Histogram
    infer: Histogram
    total: Histogram
    batch: Histogram


class _Answers:
    """What answered images took, by model and version. Models come from the operator, never from a client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._parents = _OfModel(
            _latency(registry, "queue_delay", "From the last byte of an upload to its decoding"),
            _latency(registry, "decode", "Decoding and preprocessing an image"),
            _latency(registry, "inference", "The model's run of the batch an image was in"),
            _latency(registry, "request", "From a request's head to its answer, answered images only"),
            _histogram(registry, "batch_size", "Images in the batch an image ran in", _BATCH),
        )
        self._of: dict[tuple[str, str], _OfModel] = {}  # finding a child costs more than observing it

    def of(self, model: ModelMetadata) -> _OfModel:
        """The histograms of a model."""
        found = self._of.get((model.name, model.version))
        if found is None:
            found = _OfModel(*(parent.labels(model.name, model.version) for parent in self._parents))
            self._of[model.name, model.version] = found
        return found


def _latency(registry: CollectorRegistry, name: str, text: str) -> Histogram:
    return _histogram(registry, f"{name}_seconds", f"{text}, in seconds", _LATENCY_S)


def _histogram(registry: CollectorRegistry, name: str, text: str, buckets: Sequence[float]) -> Histogram:
    return Histogram(f"tureen_{name}", text, ["model", "version"], buckets=buckets, registry=registry)


def _errors(errors: ErrorHistogram) -> Metric:
    buckets, total = [], 0
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), errors.counts, strict=True):
        total += count
        buckets.append((bound, total))
    text = "Actual less predicted finish, in seconds; positive where the answer came later"
    family = HistogramMetricFamily("tureen_prediction_error_seconds", text)
    family.add_metric([], buckets, errors.sum_s)
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
