"""The last minutes, second by second: what the page and `tureen top` show. Bounded, in memory, and cheap.

Nothing is noted per request: once per second the counters that exist for Prometheus are compared with those of the
second before.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

KEPT_S: Final = 300
_WINDOW_S: Final = 10  # that percentiles are of
_CLIENTS_FAULT: Final = frozenset({"client_gone"})


class Reading(NamedTuple):
    """Counters and gauges at one moment."""

    codes: Mapping[str, int]
    """Images so far by how they ended: ok, or a problem's code."""
    latencies: Sequence[int]
    """Answered images so far, by bucket of their seconds; one more bucket than bounds."""
    bounds: Sequence[float]
    batches: tuple[int, float]
    """Images so far that ran in batches, and the sum of their batches' sizes."""
    waiting: int
    running: int
    ready: int
    workers: int
    lag_s: float
    slo_s: float


class Sample(msgspec.Struct, frozen=True):
    """One second. Times in milliseconds; percentiles are of the last ten seconds, None where nothing was answered."""

    time: float
    """Seconds since 1970."""
    codes: dict[str, int]
    answered: int
    broken: int
    """Images that the server owed an answer and gave none in time: refused for want of room, late, or failed."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    batch: float | None
    waiting: int
    running: int
    ready: int
    workers: int
    lag_ms: float
    slo_ms: float


class Ring:
    """Its state: the samples, the reading before, and the latencies of the last seconds."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT_S)
        self._before: Reading | None = None
        self._recent: deque[list[int]] = deque(maxlen=_WINDOW_S)

    def add(self, now: Reading, time_s: float, owed: frozenset[str]) -> Sample:
        """Note one second; gives its sample. `owed`: codes of problems that are the server's, not the client's."""
        before = self._before or now
        self._before = now
        codes = {code: more for code, count in now.codes.items() if (more := count - before.codes.get(code, 0))}
        self._recent.append([new - old for new, old in zip(now.latencies, before.latencies, strict=True)])
        counts = [sum(column) for column in zip(*self._recent, strict=True)]
        p50, p95, p99 = (_ms(quantile(counts, now.bounds, share)) for share in (0.5, 0.95, 0.99))
        images, sizes = now.batches[0] - before.batches[0], now.batches[1] - before.batches[1]
        sample = Sample(
            round(time_s, 3), codes, codes.get("ok", 0), sum(n for code, n in codes.items() if code in owed),
            p50, p95, p99, round(sizes / images, 2) if images else None, now.waiting, now.running, now.ready,
            now.workers, round(now.lag_s * 1e3, 2), round(now.slo_s * 1e3, 3),
        )  # fmt: skip
        self.samples.append(sample)
        return sample


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The value below which a share of what is in a histogram lies, interpolated; None if it is empty.

    `counts` has one more than `bounds`; what is above the last bound counts as that bound. Bounds (1, 2), counts
    (2, 2, 0), share 0.75: half of the second bucket, 1.5.
    """
    total = sum(counts)
    if not total:
        return None
    rank, seen, low = share * total, 0, 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count and seen + count >= rank:
            return low + (bound - low) * (rank - seen) / count
        seen, low = seen + count, bound
    return low


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 2)
