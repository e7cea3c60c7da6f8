"""What the models have done since this process started, as the protocol's statistics extension shows it."""

import time
from dataclasses import dataclass, field

from server.contract.answer import Answer
from server.contract.metadata import ModelMetadata

_NS = 1_000_000_000
_DURATIONS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


@dataclass(slots=True)
class _OfModel:
    """The counters of one model. Seconds, and how many images they are the sum of."""

    images: int = 0
    batches: float = 0.0
    """Executions: each image brings its part of the batch it ran in."""
    last_ms: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_DURATIONS, 0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_DURATIONS, 0.0))

    def add(self, name: str, seconds: float) -> None:
        self.counts[name] += 1
        self.seconds[name] += seconds


class Statistics:
    """The whole state: the counters, by name and version. Models come from the operator, so there are few."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], _OfModel] = {}

    def observe(self, answer: Answer, queue_s: float, total_s: float) -> None:
        """One image was answered."""
        reply, of = answer.reply, self._of(answer.model)
        of.add("success", total_s)
        of.add("queue", queue_s)  # the protocol counts hits of a cache, too: perf_analyzer finds the version by it
        of.last_ms = time.time_ns() // 1_000_000
        if reply.source != "inference":
            of.add("cache_hit", total_s)
            return
        of.images += 1
        of.batches += 1 / max(1, reply.batch)
        of.add("compute_input", reply.decode_s)
        of.add("compute_infer", reply.infer_s)
        of.add("compute_output", 0.0)  # is a part of the run

    def failed(self, model: ModelMetadata, total_s: float) -> None:
        """A request was not answered."""
        self._of(model).add("fail", total_s)

    def of(self, model: ModelMetadata) -> dict[str, object]:
        """One model's, as a document."""
        of = self._of(model)
        return {
            "name": model.name,
            "version": model.version,
            "last_inference": of.last_ms,
            "inference_count": of.images,
            "execution_count": round(of.batches),
            "inference_stats": {
                name: {"count": of.counts[name], "ns": round(of.seconds[name] * _NS)} for name in _DURATIONS
            },
            "batch_stats": [],
        }

    def _of(self, model: ModelMetadata) -> _OfModel:
        return self._models.setdefault((model.name, model.version), _OfModel())
