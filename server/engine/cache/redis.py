"""Redis or Valkey as the store of a shared cache: short time-outs of our own, no retries, and a circuit breaker.

A client that retries by itself, as redis-py does unless told, costs seconds where the server hangs.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import anyio
import redis.asyncio as redis
import structlog
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.engine.cache.shared import StoreFailed

_CONNECTIONS = 8
_FAILURES, _OPEN_S = 5, 5.0  # so many in a row, and it is not asked for so long; then one question tries it
_CIRCUIT = "redis"
_LARGEST_BYTES = 1_000_000  # of an entry: what is larger is no answer of ours

T = TypeVar("T")

log = structlog.stdlib.get_logger("tureen.cache")


class RedisStore:
    """A `shared.Store`. An async context manager; entering does not connect, since a cache may come later."""

    def __init__(self, url: str, timeout_s: float, ttl_s: float) -> None:
        self._timeout_s = timeout_s
        self._ttl_ms = max(1, int(ttl_s * 1e3))
        pool = redis.BlockingConnectionPool.from_url(
            url, max_connections=_CONNECTIONS, timeout=timeout_s, socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), health_check_interval=0,
        )  # fmt: skip
        self._redis = redis.Redis(connection_pool=pool, retry=Retry(NoBackoff(), 0))
        self._pool = pool
        self._breakers = AsyncCircuitBreakerFactory(_FAILURES, _OPEN_S)
        self._failing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.disconnect()

    async def get(self, name: str) -> bytes | None:
        """As `Store.get`."""
        data = await self._guarded(lambda: self._redis.get(name))
        return data if isinstance(data, bytes) and len(data) <= _LARGEST_BYTES else None

    async def put(self, name: str, data: bytes) -> None:
        """As `Store.put`."""
        if len(data) <= _LARGEST_BYTES:
            await self._guarded(lambda: self._redis.set(name, data, px=self._ttl_ms))

    async def drop(self, names: list[str]) -> None:
        """As `Store.drop`."""
        await self._guarded(lambda: self._redis.delete(*names))

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives. Raises `StoreFailed`."""
        try:
            async with await self._breakers.get_breaker(_CIRCUIT):
                with anyio.fail_after(self._timeout_s):
                    value = await call()
        except OpenedState:
            raise StoreFailed("open") from None
        except (TimeoutError, redis.TimeoutError) as error:
            raise self._failed("timeout", error) from None
        except (OSError, RedisError, ValueError) as error:  # ValueError: what answers is no Redis
            raise self._failed("unreachable", error) from None
        self._say_well()
        return value

    def _failed(self, reason: str, error: Exception) -> StoreFailed:
        if not self._failing:
            self._failing = True
            log.warning("cache_failing", reason=reason, error=str(error) or type(error).__name__)
        return StoreFailed(reason)

    def _say_well(self) -> None:
        if self._failing:
            self._failing = False
            log.info("cache_well")
