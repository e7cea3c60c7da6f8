"""From the settings to an authenticator, and the tasks that keep its keys fresh."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import anyio
import structlog

from server.access.authenticator import Authenticator, Verifier
from server.access.bucket import Buckets
from server.access.errors import KeyFileError, TokenSetupError
from server.access.in_flight import InFlight
from server.access.issuer_keys import IssuerKeys
from server.access.key_file import read_keys
from server.access.keyring import KeyRing
from server.access.principal import Limits
from server.access.shared_in_flight import SharedInFlight
from server.access.shared_rates import SharedBuckets
from server.process.file_watch import watch
from server.settings import AuthSettings

log = structlog.stdlib.get_logger("tureen.access")


class Access(NamedTuple):
    """`authenticator`: None where everybody may do everything. `limits`: of whoever has none of their own."""

    authenticator: Authenticator | None
    limits: Limits
    keys: KeyRing | None
    key_file: Path | None
    issuer: IssuerKeys | None
    rates: Buckets
    in_flight: InFlight

    async def run(self) -> None:
        """Keep keys fresh until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self.issuer:
                tasks.start_soon(self.issuer.run, name="issuer keys")
            if self.keys is not None and self.key_file:
                tasks.start_soon(watch, [self.key_file], self._reload, name="key file")
            if isinstance(self.rates, SharedBuckets):
                tasks.start_soon(self.rates.run, name="shared rates")
            if isinstance(self.in_flight, SharedInFlight):
                tasks.start_soon(self.in_flight.run, name="shared images under way")

    def _reload(self) -> None:
        assert self.keys is not None
        assert self.key_file
        try:
            self.keys.replace(read_keys(self.key_file))
        except KeyFileError as error:
            log.error("keys_not_reloaded", reason=str(error), keys=self.keys.count)
            return
        log.info("keys_reloaded", keys=self.keys.count)


def set_up(settings: AuthSettings, redis_url: str = "") -> Access:
    """`redis_url`: where limits are shared with other replicas; empty for nowhere.

    Raises `KeyFileError`, `TokenSetupError`.
    """
    limits = Limits(settings.client_rate, settings.client_burst, settings.client_images)
    keys = KeyRing(read_keys(settings.keys)) if settings.keys else None
    tokens, issuer = _tokens(settings, limits) if settings.jwt_issuer else (None, None)
    authenticator = Authenticator(keys, tokens) if keys is not None or tokens is not None else None
    return Access(authenticator, limits, keys, settings.keys, issuer, *_counters(redis_url))


def _counters(redis_url: str) -> tuple[Buckets, InFlight]:
    if not redis_url:
        return Buckets(), InFlight()
    from server.access.redis_ledger import RedisInFlight, RedisLedger

    return SharedBuckets(RedisLedger(redis_url)), SharedInFlight(RedisInFlight(redis_url))


def _tokens(settings: AuthSettings, limits: Limits) -> tuple[Verifier, IssuerKeys | None]:
    if not (find_spec("jwt") and find_spec("cryptography")):
        raise TokenSetupError("tokens need an extra: pip install 'tureen[jwt]'")
    from server.access.tokens import TokenRules, Tokens, key_source

    assert settings.jwt_issuer
    if not settings.jwt_audience:
        raise TokenSetupError("jwt_audience is missing: a token for another service must not pass here")
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_algorithm, settings.jwt_scope_claim)
    source = key_source(rules, settings.jwt_key, settings.jwks_url, time.monotonic)
    tokens = Tokens(rules, source, limits)
    if not isinstance(source, IssuerKeys):
        return tokens, None
    source.on_change = tokens.forget
    return tokens, source
