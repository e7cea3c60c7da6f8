"""Rate limits: one token bucket per client, in bounded memory. Pure: the caller says what time it is."""

from collections import OrderedDict
from typing import Final, NamedTuple

MOST: Final = 20_000
"""Buckets kept: about 3 MB. The one unused for longest makes room, so its client starts afresh with a full bucket."""


class Verdict(NamedTuple):
    """`wait_s`: seconds until the next one would pass; 0 if this one did. `left`: whole tokens left.
    `full_s`: seconds until the bucket is full again."""

    wait_s: float
    left: int
    full_s: float


class Buckets:
    """Its state: tokens and time of the last take, by client, in the order of use."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def peek(self, client: str, rate: float, burst: float, now: float) -> float:
        """Seconds until `take` would pass; 0 if it would now."""
        tokens, since = self._buckets.get(client, (burst, now))
        return max(0.0, (1 - tokens - (now - since) * rate) / rate)

    def take(self, client: str, rate: float, burst: float, now: float) -> Verdict:
        """Take one token if there is one. `rate`: tokens per second; `burst`: what the bucket holds, at least 1."""
        tokens, since = self._buckets.get(client, (burst, now))
        tokens = min(burst, tokens + (now - since) * rate)
        passed = tokens >= 1
        if passed:
            tokens -= 1
        self._buckets[client] = tokens, now
        self._buckets.move_to_end(client)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return Verdict(0.0 if passed else (1 - tokens) / rate, max(0, int(tokens)), (burst - tokens) / rate)

    def correct(self, client: str, tokens: float, now: float) -> None:
        """Somebody knows better what a client has left; less than 0 is a debt. Nothing happens if it is forgotten."""
        if client in self._buckets:
            self._buckets[client] = tokens, now
