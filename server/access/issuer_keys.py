"""The public keys of a token issuer: fetched in a thread, kept, renewed, and kept on while the issuer is down."""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import anyio
import anyio.to_thread
import structlog

from server.access.errors import FetchFailed, Unauthenticated
from server.access.fetch import fetch_json

RENEW_S: Final = 600.0
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
UNKNOWN_KID_S: Final = 10.0  # between two fetches that unknown key ids cause, however many tokens claim one

log = structlog.stdlib.get_logger("tureen.access")

Fetch = Callable[[str], dict[str, object]]
Parse = Callable[[Mapping[str, object]], Mapping[str, Any]]
"""From a JWKS document to keys by their id."""


class KeySource(Protocol):
    """Where a verifier finds the public key of a token."""

    async def find(self, kid: str | None) -> Any:  # noqa: ANN401 - a key of the library that verifies
        """The key of this id. Raises `Unauthenticated`: unknown_kid, no_issuer_keys."""


class OneKey:
    """A public key from a file: for every token, whatever key id it claims."""

    def __init__(self, key: Any) -> None:  # noqa: ANN401 - as above
        self._key = key

    async def find(self, kid: str | None) -> Any:  # noqa: ANN401 - as above
        """As `KeySource.find`."""
        return self._key


class IssuerKeys:
    """The JWKS of an issuer. `run` renews it every ten minutes, and after a failure with back-off.

    A token with an unknown key id causes one fetch, which all such tokens wait for; if that was in vain, none for ten
    seconds. Its state: the keys, when an unknown id may cause the next fetch, and the fetch under way.
    """

    def __init__(
        self,
        issuer: str,
        jwks_url: str | None,
        parse: Parse,
        clock: Callable[[], float],
        fetch: Fetch = fetch_json,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """`jwks_url`: None asks the issuer's discovery document."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when other keys are in force."""
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._parse = parse
        self._clock = clock
        self._fetch = fetch
        self._sleep = sleep
        self._document: object = None
        self._keys: Mapping[str, Any] = {}
        self._unknown_from = 0.0
        self._under_way: anyio.Event | None = None

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""
        wait_s = FIRST_RETRY_S
        while True:
            if await self.renew():
                wait_s = FIRST_RETRY_S
                await self._sleep(RENEW_S * random.uniform(0.9, 1.1))
            else:
                await self._sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(2 * wait_s, LONGEST_RETRY_S)

    async def find(self, kid: str | None) -> Any:  # noqa: ANN401 - as above
        """As `KeySource.find`."""
        if (found := self._known(kid)) is not None:
            return found
        if self._under_way:
            await self._under_way.wait()
        elif self._clock() >= self._unknown_from:
            await self.renew()
            if self._known(kid) is None:
                self._unknown_from = self._clock() + UNKNOWN_KID_S
        if (found := self._known(kid)) is not None:
            return found
        raise Unauthenticated("unknown_kid" if self._keys else "no_issuer_keys")

    async def renew(self) -> bool:
        """Fetch the keys; on failure the old ones stay in force. Cancellation: the thread ends by its own limits."""
        if self._under_way:
            await self._under_way.wait()
            return bool(self._keys)
        self._under_way = anyio.Event()
        try:
            document = await anyio.to_thread.run_sync(self._fetched, abandon_on_cancel=True)
            keys = self._parse(document)
        except FetchFailed as error:
            log.warning("issuer_keys_not_renewed", reason=str(error), keys=len(self._keys))
            return False
        finally:
            under_way, self._under_way = self._under_way, None
            under_way.set()
        if document != self._document:
            self._document, self._keys = document, keys
            self.on_change()
            log.info("issuer_keys_renewed", keys=len(keys))
        return True

    def _known(self, kid: str | None) -> Any:  # noqa: ANN401 - as above
        if kid is None:  # RFC 7515 makes it optional: clear where there is one key only
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _fetched(self) -> dict[str, object]:
        return self._fetch(self._jwks_url or discover(self._issuer, self._fetch))


def discover(issuer: str, fetch: Fetch) -> str:
    """The JWKS URL from OpenID Connect Discovery. Raises `FetchFailed`, also where the document is another issuer's."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    document = fetch(url)
    if document.get("issuer") != issuer:
        raise FetchFailed(f"{url} speaks of another issuer than {issuer}")
    found = document.get("jwks_uri")
    if not isinstance(found, str):
        raise FetchFailed(f"{url} has no jwks_uri")
    return found
