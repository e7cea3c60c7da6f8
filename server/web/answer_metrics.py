"""What answers took, as histograms. Models come from the operator, codes and priorities from fixed sets."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry

from batcher.policy import DEFAULT_URGENCY
from server.contract.answer import Answer
from server.telemetry.histogram import Histogram, HistogramFamily
from server.telemetry.trace_context import TraceContext

LATENCY_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_OF_MODEL: Final = ("model", "version")


class _Children(NamedTuple):
    total: Histogram
    queue: Histogram
    decode: Histogram
    infer: Histogram
    batch: Histogram


class AnswerMetrics:
    """The histograms of answers, and of failures."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_priority = (*_OF_MODEL, "priority")
        self.total = _latency(
            registry, "request", "From a request's head to its answer", (*_OF_MODEL, "code", "priority")
        )
        self._queue = _latency(registry, "queue_delay", "From the last byte of an upload to its decoding", by_priority)
        self._decode = _latency(registry, "decode", "Decoding and preprocessing an image", _OF_MODEL)
        self._infer = _latency(registry, "inference", "The model's run of the batch an image was in", _OF_MODEL)
        self.batch = HistogramFamily("tureen_batch_size", "Images in the batch an image ran in", _OF_MODEL, BATCH)
        registry.register(self.batch)
        self._found: dict[tuple[str, str, int], _Children] = {}  # by model, version, urgency: one look-up per answer

    def answered(
        self, answer: Answer, queue_s: float, total_s: float, urgency: int, trace: TraceContext | None
    ) -> None:
        """An image was answered."""
        model = answer.model
        children = self._found.get((model.name, model.version, urgency)) or self._of(model.name, model.version, urgency)
        trace_id = trace.trace_id if trace and trace.sampled else ""
        children.total.observe(total_s, trace_id)
        if answer.reply.source != "inference":  # one inference is observed once
            return
        children.queue.observe(queue_s, trace_id)
        children.decode.observe(answer.reply.decode_s, trace_id)
        children.infer.observe(answer.reply.infer_s, trace_id)
        children.batch.observe(answer.reply.batch)

    def failed(self, code: str, total_s: float, urgency: int, trace: TraceContext | None) -> None:
        """An image was refused, or failed: which model would have answered is not said."""
        trace_id = trace.trace_id if trace and trace.sampled else ""
        self.total.of("", "", code, priority(urgency)).observe(total_s, trace_id)

    @property
    def bounds(self) -> Sequence[float]:
        """Of the latencies, in seconds."""
        return LATENCY_S

    def answered_so_far(self) -> tuple[list[int], tuple[int, float]]:
        """Answered images by bucket of their seconds; and of those in batches the count, and the sum of the sizes."""
        latencies = [0] * (len(LATENCY_S) + 1)
        for (_, _, code, _), child in self.total.items():
            if code == "ok":
                latencies = [sum(pair) for pair in zip(latencies, child.counts, strict=True)]
        batches = [child for _, child in self.batch.items()]
        return latencies, (sum(sum(child.counts) for child in batches), sum(child.sum for child in batches))

    def _of(self, model: str, version: str, urgency: int) -> _Children:
        level = priority(urgency)
        children = self._found[model, version, urgency] = _Children(
            self.total.of(model, version, "ok", level),
            self._queue.of(model, version, level),
            self._decode.of(model, version),
            self._infer.of(model, version),
            self.batch.of(model, version),
        )
        return children


def priority(urgency: int) -> str:
    """The label of an urgency (RFC 9218: 0 is first, 7 last)."""
    return "normal" if urgency == DEFAULT_URGENCY else "high" if urgency < DEFAULT_URGENCY else "low"


def _latency(registry: CollectorRegistry, name: str, text: str, labels: Sequence[str]) -> HistogramFamily:
    family = HistogramFamily(f"tureen_{name}_seconds", f"{text}, in seconds", labels, LATENCY_S)
    registry.register(family)
    return family
