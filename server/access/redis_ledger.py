"""A ledger of rates in Redis or Valkey: one bucket per client, under a hash of its id. No retries.

Only `server.access.setup` imports this module: it needs the extra `tureen[redis]`.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import anyio
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.access.shared_rates import LedgerFailed, Taken

_TIMEOUT_S = 0.25
_PREFIX = b"tureen:rate:"
_DIGEST_BYTES = 16

# By Redis' own clock, so that those of replicas may differ. A bucket that is full again is forgotten.
_SCRIPT: Final = """
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


class RedisLedger:
    """A `shared_rates.Ledger`. It connects when it is first asked."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )  # fmt: skip
        self._script = self._redis.register_script(_SCRIPT)

    async def settle(self, taken: Sequence[Taken]) -> Sequence[float]:
        """As `Ledger.settle`."""
        words = [word for one in taken for word in (one.rate, one.burst, one.tokens)]
        try:
            with anyio.fail_after(2 * _TIMEOUT_S):
                left: list[bytes] = await self._script(keys=[_name(one.client) for one in taken], args=words)
            return [float(tokens) for tokens in left]
        except (OSError, TimeoutError, RedisError, ValueError, TypeError) as error:  # the last two: it is no Redis
            raise LedgerFailed(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()


def _name(client: str) -> bytes:
    return _PREFIX + hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).hexdigest().encode()
