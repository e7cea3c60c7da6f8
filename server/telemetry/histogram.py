"""Histograms for Prometheus, with exemplars. Observing one costs a fraction of what the client library's costs.

For one thread: the event loop writes, and the scrape reads between two of its turns.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

Bucket = tuple[str, float] | tuple[str, float, Exemplar]
"""Bound, count, and an example."""


class Histogram:
    """Counts by bucket. `counts` has one more than `bounds`, for what is above the last."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, trace_id: str = "") -> None:
        """Count a value. `trace_id`: of a trace that is kept, as an example of values like this."""
        at = bisect_left(self.bounds, value)
        self.counts[at] += 1
        self.sum += value
        if trace_id:
            self.exemplars[at] = Exemplar({"trace_id": trace_id}, value, time.time_ns() / 1e9)

    def buckets(self) -> list[Bucket]:
        """Cumulative, as Prometheus has them."""
        total, found = 0, list[Bucket]()
        bounds = (*(_text(bound) for bound in self.bounds), "+Inf")
        for at, (bound, count) in enumerate(zip(bounds, self.counts, strict=True)):
            total += count
            exemplar = self.exemplars.get(at)
            found.append((bound, float(total), exemplar) if exemplar else (bound, float(total)))
        return found


class HistogramFamily(Collector):
    """A histogram for each set of label values. Labels come from fixed sets, or from the operator: they are few."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, bounds
        self._children: dict[tuple[str, ...], Histogram] = {}

    def of(self, *values: str) -> Histogram:
        """The histogram of these label values, in the order of the labels."""
        found = self._children.get(values)
        if found is None:
            found = self._children[values] = Histogram(self._bounds)
        return found

    def items(self) -> Iterable[tuple[tuple[str, ...], Histogram]]:
        """All of them, each with its label values."""
        return self._children.items()

    def describe(self) -> list[Metric]:
        """The family without samples."""
        return [self._family()]

    def collect(self) -> Iterator[Metric]:
        """The family for a scrape."""
        family = self._family()
        for values, child in self._children.items():
            family.add_metric(list(values), child.buckets(), child.sum)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._text, labels=list(self._labels))


def _text(bound: float) -> str:
    return str(float(bound))
