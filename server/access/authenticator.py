"""From the Authorization header to a principal: an API key or a token, both as `Bearer` (RFC 6750)."""

from typing import Protocol

from server.access.bucket import Buckets
from server.access.errors import Unauthenticated
from server.access.keyring import KeyRing
from server.access.principal import Principal
from server.access.secret import PREFIX

_BEARER = b"bearer "
_KEY = PREFIX.encode()
_MAX_KEY = 100
_FAILURES_PER_S, _FAILURES_AT_ONCE = 10.0, 50.0  # tokens that fail to verify, per address


class Verifier(Protocol):
    """Verifies tokens: `server.access.tokens`, an extra."""

    def known(self, token: bytes) -> Principal | None:
        """Whose token this is, if it was verified before and has not expired."""

    async def verify(self, token: bytes) -> Principal:
        """Whose token this is. Raises `Unauthenticated`."""


class TooManyFailures(Unauthenticated):
    """This address has sent too many bad tokens to have another one verified; `wait_s` from now it may."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("bad_token")
        self.wait_s = wait_s


class Authenticator:
    """Keys, tokens, or both. Its state: the failures of late, by address; a signature costs 100 µs to verify."""

    def __init__(self, keys: KeyRing | None, tokens: Verifier | None) -> None:
        self._keys = keys
        self._tokens = tokens
        self._failures = Buckets()

    def known(self, authorization: bytes) -> Principal | None:
        """Whoever it is, if that can be told at once: None for a token that was not verified yet.

        Raises `Unauthenticated`: malformed, unknown_key, expired.
        """
        credential = _credential(authorization)
        if credential.startswith(_KEY):
            if self._keys is None or len(credential) > _MAX_KEY:
                raise Unauthenticated("unknown_key")
            return self._keys.holder(credential)
        if self._tokens is None:
            raise Unauthenticated("malformed")
        return self._tokens.known(credential)

    async def identify(self, authorization: bytes, address: str, now: float) -> Principal:
        """Whoever it is. `address`: of the client; `now`: monotonic seconds.

        Raises `Unauthenticated`, also as `TooManyFailures`.
        """
        if principal := self.known(authorization):
            return principal
        assert self._tokens is not None, "what is not known at once is a token"
        wait_s = self._failures.peek(address, _FAILURES_PER_S, _FAILURES_AT_ONCE, now)
        if wait_s:
            raise TooManyFailures(wait_s)
        try:
            return await self._tokens.verify(_credential(authorization))
        except Unauthenticated:
            self._failures.take(address, _FAILURES_PER_S, _FAILURES_AT_ONCE, now)
            raise


def _credential(authorization: bytes) -> bytes:
    """What follows `Bearer`. Raises `Unauthenticated`: missing, malformed."""
    if not authorization:
        raise Unauthenticated("missing")
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise Unauthenticated("malformed")
    return authorization[len(_BEARER) :].strip(b" ")
