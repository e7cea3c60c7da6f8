"""Ledgers in Redis or Valkey: of rates, one bucket per client; of images under way, one count per client and replica.

Clients stand there under a hash of their ids. No retries.

Only `server.access.setup` imports this module: it needs the extra `tureen[redis]`.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import anyio
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.access.settling import LedgerFailed
from server.access.shared_rates import Taken

N = TypeVar("N", float, int)

_TIMEOUT_S = 0.25
_RATE, _IN_FLIGHT = b"tureen:rate:", b"tureen:in-flight:"
_LEASE_S = 2.0  # for which a replica's count holds; it tells it ten times per second
_DIGEST_BYTES = 16

# By Redis' own clock, so that those of replicas may differ. A bucket that is full again is forgotten.
_BUCKETS: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local left = {}
for i, key in ipairs(KEYS) do
    local rate, burst, taken = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
    local found = redis.call('HMGET', key, 'tokens', 'time')
    local tokens = burst
    if found[1] then
        tokens = math.min(burst, found[1] + math.max(0, now - found[2]) * rate)
    end
    tokens = tokens - taken
    redis.call('HSET', key, 'tokens', tostring(tokens), 'time', tostring(now))
    redis.call('PEXPIRE', key, math.ceil((burst - tokens) / rate * 1000) + 1000)
    left[i] = tostring(tokens)
end
return left
"""

_COUNTS: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local replica, lease = ARGV[1], tonumber(ARGV[2])
local elsewhere = {}
for i, key in ipairs(KEYS) do
    local count, sum = ARGV[i + 2], 0
    if count == '0' then
        redis.call('HDEL', key, replica)
    else
        redis.call('HSET', key, replica, count .. ' ' .. tostring(now))
        redis.call('PEXPIRE', key, math.ceil(lease * 1000))
    end
    local told = redis.call('HGETALL', key)
    for j = 1, #told, 2 do
        local count, at = string.match(told[j + 1], '(%d+) (.+)')
        if now - at > lease then
            redis.call('HDEL', key, told[j])
        elseif told[j] ~= replica then
            sum = sum + count
        end
    end
    elsewhere[i] = sum
end
return elsewhere
"""


class _Scripted:
    """A script, and the connection to where it runs, made when it is first asked."""

    def __init__(self, url: str, text: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )  # fmt: skip
        self._script = self._redis.register_script(text)

    async def _run(self, keys: Sequence[bytes], words: Sequence[str | float], read: Callable[[Any], N]) -> list[N]:
        """What it answers for each key, `read`. Raises `LedgerFailed`."""
        try:
            with anyio.fail_after(2 * _TIMEOUT_S):
                found = await self._script(keys=keys, args=words)
            return [read(one) for one in found]
        except (OSError, TimeoutError, RedisError, ValueError, TypeError) as error:  # the last two: it is no Redis
            raise LedgerFailed(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()


class RedisLedger(_Scripted):
    """A `shared_rates.Ledger`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, _BUCKETS)

    async def settle(self, taken: Sequence[Taken]) -> Sequence[float]:
        """As `Ledger.settle`."""
        words = [word for one in taken for word in (one.rate, one.burst, one.tokens)]
        return await self._run([_name(_RATE, one.client) for one in taken], words, float)


class RedisInFlight(_Scripted):
    """A `shared_in_flight.InFlightLedger`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, _COUNTS)
        self._replica = secrets.token_hex(8)

    async def tell(self, counts: Mapping[str, int]) -> Sequence[int]:
        """As `InFlightLedger.tell`."""
        keys = [_name(_IN_FLIGHT, client) for client in counts]
        return await self._run(keys, [self._replica, _LEASE_S, *counts.values()], int)


def _name(prefix: bytes, client: str) -> bytes:
    return prefix + hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).hexdigest().encode()
