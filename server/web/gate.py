"""The gate: who asks, may they, and within their limits? Decided from a request's head, before its body is read."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from server.access.authenticator import Authenticator, TooManyFailures
from server.access.bucket import Buckets, Verdict
from server.access.errors import Unauthenticated
from server.access.in_flight import InFlight
from server.access.principal import ANYONE, FROM_TRUSTED, NO_LIMITS, Limits, Principal, address_id
from server.web.client import Origin
from server.web.errors import RequestError
from server.web.paths import PUBLIC, is_limited, scope_of
from server.web.response import RawHeaders

_PAGE: Final = "/page/"  # files that are in the package: no secret
_BUSY_WAIT_S = 1.0  # until one of the client's own images is answered; when is unknown
_CHALLENGE = 'Bearer realm="tureen"'


class Admitted(NamedTuple):
    """Who was let in, and what its response should say about limits."""

    principal: Principal
    headers: RawHeaders
    counted: bool
    """Whether `leave` is due."""


class Gate:
    """Its state: the rate and the images under way of each client."""

    def __init__(
        self,
        authenticator: Authenticator | None,
        limits: Limits = NO_LIMITS,
        on_refusal: Callable[[str], None] = lambda reason: None,
        rates: Buckets | None = None,
        in_flight: InFlight | None = None,
    ) -> None:
        """`authenticator`: None lets everybody do everything. `limits`: of clients that have none of their own.
        `on_refusal` is told why credentials were refused. `rates`, `in_flight`: None keeps them here."""
        self._authenticator = authenticator
        self._limits = limits
        self._on_refusal = on_refusal
        self._buckets = Buckets() if rates is None else rates
        self._in_flight = InFlight() if in_flight is None else in_flight
        self._has_checks = authenticator is not None or limits != NO_LIMITS

    def open_to(self, origin: Origin) -> Principal | None:
        """Who asks, if there are neither keys nor limits, so that nothing has to be checked; else None: see `enter`."""
        return None if self._has_checks else _anyone(origin)

    @property
    def checks_keys(self) -> bool:
        """Whether clients need a key or a token."""
        return self._authenticator is not None

    async def enter(self, method: str, path: str, given: Sequence[bytes], origin: Origin, now: float) -> Admitted:
        """Let a request in. `given`: its Authorization headers; `now`: monotonic seconds.

        Raises `RequestError`: unauthenticated, forbidden, rate_limited, too_many_in_flight.
        """
        if path in PUBLIC or path.startswith(_PAGE):
            return Admitted(_anyone(origin), [], False)
        principal = await self._identify(given, origin, now)
        self._authorise(principal, method, path)
        if not is_limited(method, path):
            return Admitted(principal, [], False)
        rate, burst, most = self._limits_of(principal)
        self._check_in_flight(principal, most)
        headers: RawHeaders = []
        if rate:
            verdict = self._buckets.take(principal.id, rate, burst, now)
            headers = _rate_headers(rate, burst, verdict)
            if verdict.wait_s:
                raise _rate_limited(headers, verdict.wait_s)
        self._in_flight.begin(principal.id)
        return Admitted(principal, headers, True)

    @contextmanager
    def more(self, principal: Principal, count: int, now: float, *, under_way: int | None = None) -> Iterator[None]:
        """A request that was let in has so many more images than one: they are under way inside. Raises as `enter`.

        `under_way`: how many are, if others than these.
        """
        begun = count if under_way is None else under_way
        rate, burst, most = self._limits_of(principal)
        if most and not self._in_flight.fits(principal.id, count, most):
            raise RequestError("too_many_in_flight", retry_after_s=_BUSY_WAIT_S)
        if rate and count:
            verdict = self._buckets.take(principal.id, rate, burst, now, count)
            if verdict.wait_s:
                raise _rate_limited(_rate_headers(rate, burst, verdict), verdict.wait_s)
        self._in_flight.begin(principal.id, begun)
        try:
            yield
        finally:
            self._in_flight.end(principal.id, begun)

    def leave(self, admitted: Admitted) -> None:
        """Its response is complete."""
        if admitted.counted:
            self._in_flight.end(admitted.principal.id)

    def glance(self, given: Sequence[bytes], origin: Origin, now: float) -> Principal | None:
        """Who uploads, if that can be told at once, and if `enter` would not refuse; nothing is counted.

        Raises as `enter`.
        """
        principal = _anyone(origin) if self._authenticator is None else self._known(given)
        if principal is None:
            return None
        self._authorise(principal, "POST", "/v1/images")
        rate, burst, most = self._limits_of(principal)
        self._check_in_flight(principal, most)
        if rate and (wait_s := self._buckets.peek(principal.id, rate, burst, now)):
            raise _rate_limited(_rate_headers(rate, burst, Verdict(wait_s, 0, burst / rate)), wait_s)
        return principal

    async def _identify(self, given: Sequence[bytes], origin: Origin, now: float) -> Principal:
        if self._authenticator is None:
            return _anyone(origin)
        try:
            return self._known(given) or await self._authenticator.identify(given[0], address_id(origin.address), now)
        except TooManyFailures as error:
            raise RequestError("rate_limited", retry_after_s=error.wait_s) from None
        except Unauthenticated as error:
            raise self._refusal(error) from None

    def _known(self, given: Sequence[bytes]) -> Principal | None:
        assert self._authenticator
        try:
            if len(given) > 1:  # a proxy may have checked the other one
                raise Unauthenticated("malformed")
            return self._authenticator.known(given[0] if given else b"")
        except Unauthenticated as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Unauthenticated) -> RequestError:
        self._on_refusal(error.reason)
        challenge = _CHALLENGE if error.reason == "missing" else f'{_CHALLENGE}, error="invalid_token"'
        return RequestError("unauthenticated", {"WWW-Authenticate": challenge})

    def _limits_of(self, principal: Principal) -> tuple[float | None, float, int | None]:
        """Its rate, burst and images under way. A client of which nothing is known may be many: it has no limits."""
        if not principal.id:
            return None, 1.0, None
        own, others = principal.limits, self._limits
        rate = own.rate or others.rate
        burst = (own.burst if own.rate else own.burst or others.burst) or math.ceil(rate or 1)
        return rate, max(1, burst), own.in_flight or others.in_flight

    def _authorise(self, principal: Principal, method: str, path: str) -> None:
        """Raises `RequestError` forbidden."""
        if self._authenticator is None:
            return
        scope = scope_of(method, path)
        if not principal.may(scope):
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            raise RequestError("forbidden", {"WWW-Authenticate": challenge})

    def _check_in_flight(self, principal: Principal, most: int | None) -> None:
        if most and not self._in_flight.fits(principal.id, 1, most):
            raise RequestError("too_many_in_flight", retry_after_s=_BUSY_WAIT_S)


def _anyone(origin: Origin) -> Principal:
    return Principal(address_id(origin.address), FROM_TRUSTED if origin.trusted else ANYONE)


def _rate_headers(rate: float, burst: float, verdict: Verdict) -> RawHeaders:
    """As draft-ietf-httpapi-ratelimit-headers-11: the policy as a quota per window, and what is left of it."""
    window_s, full_s = math.ceil(burst / rate), math.ceil(verdict.full_s)
    return [
        (b"ratelimit-policy", b'"client";q=%d;w=%d' % (burst, window_s)),
        (b"ratelimit", b'"client";r=%d;t=%d' % (verdict.left, full_s)),
    ]


def _rate_limited(headers: RawHeaders, wait_s: float) -> RequestError:
    return RequestError(
        "rate_limited", {name.decode(): value.decode() for name, value in headers}, retry_after_s=wait_s
    )
