"""From rows to figures. Pure: measures nothing, prints nothing.

The window is from 0 to its length, in seconds. What was due within it is *offered*, whenever it was answered;
what is *good* was answered 200, rightly, within the SLO. Latencies are those of all 200s: a request without an
answer has none, and shows in the share that is good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.commands.bench.records import OK, Outcome, Rows

QUANTILES = (0.5, 0.9, 0.99, 0.999)
_MOST_BINS = 60
_LEAST_BIN_S = 0.25
_REFUSED = 503


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some values, in their own unit."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run's figures: rates per second, times in seconds. A `Spread` is None where there was nothing to spread."""

    window_s: float
    offered: int
    answered: int  # with any status
    ok: int  # 200, and right
    good: int
    refused: int  # 503
    outcomes: Mapping[int, int]
    rate: float  # 200s, from answer to answer
    latency: Spread | None
    lag: Spread | None  # of the client itself
    queue: Spread | None
    decode: Spread | None
    infer: Spread | None
    refusal: Spread | None  # latency of the 503s
    retry_after: Spread | None
    batches: Mapping[int, int]  # images answered in a batch of that size
    reused: int = 0  # 200s for which no inference of their own was made

    @property
    def reused_share(self) -> float:
        """Of the 200s."""
        return self.reused / self.ok if self.ok else 0.0

    @property
    def offered_rate(self) -> float:
        return self.offered / self.window_s

    @property
    def goodput(self) -> float:
        return self.good / self.window_s

    @property
    def good_share(self) -> float:
        """Of what was offered."""
        return self.good / self.offered if self.offered else 0.0

    @property
    def kept_share(self) -> float | None:
        """Good, of what was not refused: how far the server's word can be taken."""
        admitted = self.offered - self.refused
        return self.good / admitted if admitted else None


@dataclass(frozen=True, slots=True)
class Bin:
    """A slice of the window: what was due within it. p50 and p99 in seconds, None without a 200."""

    start: float
    offered: int
    good: int
    p50: float | None
    p99: float | None


def summarize(rows: Rows, window_s: float, slo_s: float) -> Summary:
    """The figures of a run; `rows` in order of `due`, warm-up included."""
    within = _window(rows, window_s)
    outcome = within["outcome"]
    fine = within[outcome == OK]
    refused = within[outcome == _REFUSED]
    kinds, counts = np.unique(outcome, return_counts=True)
    sizes, images = np.unique(fine["batch"][fine["batch"] > 0], return_counts=True)
    return Summary(
        window_s=window_s,
        offered=len(within),
        answered=int(((outcome > 0) | (outcome == Outcome.WRONG)).sum()),
        ok=len(fine),
        reused=int(fine["reused"].sum()),
        good=int((fine["latency"] <= slo_s).sum()),
        refused=len(refused),
        outcomes=dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
        rate=answer_rate(rows, window_s),
        latency=spread(fine["latency"]),
        lag=spread(within["lag"]),
        queue=spread(fine["queue"]),
        decode=spread(fine["decode"]),
        infer=spread(fine["infer"]),
        refusal=spread(refused["latency"]),
        retry_after=spread(within["retry_after"]),
        batches=dict(zip(sizes.tolist(), images.tolist(), strict=True)),
    )


def spread(values: NDArray[np.float32]) -> Spread | None:
    """Quantiles of the values that are numbers; None if none is."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return None
    p50, p90, p99, p999 = np.quantile(known, QUANTILES, method="inverted_cdf").tolist()
    return Spread(len(known), p50, p90, p99, p999, float(known.max()))


def answer_rate(rows: Rows, window_s: float) -> float:
    """200s per second, from the first in the window to the first after it, or to the last there is.

    Answers come in bursts, a batch at a time. A window that begins and ends with a burst's first answer holds
    whole bursts only.
    """
    ends = np.sort((rows["due"] + rows["latency"])[rows["outcome"] == OK])
    first, last = np.searchsorted(ends, [0.0, window_s])
    last = min(last, len(ends) - 1)
    between_s = float(ends[last] - ends[first]) if last > first else 0.0
    return float(last - first) / between_s if between_s else 0.0


def timeline(rows: Rows, window_s: float, slo_s: float) -> list[Bin]:
    """The window in slices of a quarter of a second or more, 60 at most."""
    within = _window(rows, window_s)
    count = max(1, min(_MOST_BINS, int(window_s / _LEAST_BIN_S)))
    edges = np.linspace(0, window_s, count + 1)
    cuts = np.searchsorted(within["due"], edges)
    bins = []
    for start, low, high in zip(edges[:-1].tolist(), cuts[:-1], cuts[1:], strict=True):
        fine = within[low:high][within[low:high]["outcome"] == OK]["latency"]
        times = spread(fine)
        good = int((fine <= slo_s).sum())
        bins.append(Bin(start, int(high - low), good, times.p50 if times else None, times.p99 if times else None))
    return bins


def curve(rows: Rows, window_s: float, points: Sequence[float]) -> list[float]:
    """The latency at each of these quantiles of the 200s, in seconds; nothing if there are none."""
    within = _window(rows, window_s)
    fine = within[within["outcome"] == OK]["latency"].astype(np.float64)
    if not len(fine):
        return []
    latencies: list[float] = np.quantile(fine, points, method="inverted_cdf").tolist()
    return latencies


def _window(rows: Rows, window_s: float) -> Rows:
    low, high = np.searchsorted(rows["due"], [0.0, window_s])
    return rows[low:high]
