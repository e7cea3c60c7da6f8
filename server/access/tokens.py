"""Tokens (JWT): verified by PyJWT, with one algorithm, for one issuer and one audience.

Only `server.access.setup` imports this module: it needs the extra `tureen[jwt]`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt

from server.access.errors import FetchFailed, TokenSetupError, Unauthenticated
from server.access.fetch import check_url
from server.access.issuer_keys import IssuerKeys, KeySource, OneKey, Parse
from server.access.keyring import Wall, wall_clock
from server.access.principal import Limits, Principal, known_scopes
from server.access.secret import digest

_KEY_TYPES: Final[Mapping[str, str]] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""Public-key signatures only: whoever can verify a shared secret can sign with it."""
_MAX_TOKEN = 8 * 1024
_MAX_SUBJECT = 256
_LEEWAY_S = 30.0
_REQUIRED = ["iss", "aud", "exp", "nbf", "sub"]
_CACHED = 10_000


class TokenRules(NamedTuple):
    """What a token must say. `scope_claim`: where its scopes stand, as words or as a list."""

    issuer: str
    audience: str
    algorithm: str
    scope_claim: str = "scope"


class _Seen(NamedTuple):
    principal: Principal
    until: float


class Tokens:
    """Verifies tokens. Its state: those verified already, by SHA-256, until they expire."""

    def __init__(self, rules: TokenRules, keys: KeySource, limits: Limits, wall: Wall = wall_clock) -> None:
        """`limits`: of each subject."""
        self._rules = rules
        self._keys = keys
        self._limits = limits
        self._wall = wall
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()

    @property
    def remembered(self) -> int:
        """Tokens that need not be verified again."""
        return len(self._seen)

    def forget(self) -> None:
        """Other keys are in force: verify every token anew."""
        self._seen.clear()

    def known(self, token: bytes) -> Principal | None:
        """Whose token this is, if it was verified before and has not expired."""
        seen = self._seen.get(digest(token))
        return seen.principal if seen and self._wall() < seen.until else None

    async def verify(self, token: bytes) -> Principal:
        """Whose token this is. Raises `Unauthenticated`: malformed, bad_token, expired, unknown_kid, no_issuer_keys."""
        if len(token) > _MAX_TOKEN or token.count(b".") != 2:
            raise Unauthenticated("malformed")
        key = await self._keys.find(self._kid(token))
        principal, until = self._principal(self._claims(token, key))
        self._seen[digest(token)] = _Seen(principal, until)
        if len(self._seen) > _CACHED:
            self._seen.popitem(last=False)
        return principal

    def _kid(self, token: bytes) -> str | None:
        """The key id that the token claims; no other part of its header matters, and no URL in it is fetched."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise Unauthenticated("malformed") from None
        if header.get("alg") != self._rules.algorithm:
            raise Unauthenticated("bad_token")
        kid = header.get("kid")
        return kid if isinstance(kid, str) else None

    def _claims(self, token: bytes, key: Any) -> Mapping[str, Any]:  # noqa: ANN401 - PyJWT's own
        rules = self._rules
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[rules.algorithm],
                issuer=rules.issuer,
                audience=rules.audience,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED},
            )
            return claims
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("expired") from None
        except (jwt.InvalidTokenError, jwt.InvalidKeyError, ValueError, TypeError):
            raise Unauthenticated("bad_token") from None

    def _principal(self, claims: Mapping[str, Any]) -> tuple[Principal, float]:
        subject, scopes = claims["sub"], claims.get(self._rules.scope_claim, "")
        if not isinstance(subject, str) or not 1 <= len(subject) <= _MAX_SUBJECT:
            raise Unauthenticated("bad_token")
        words = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else []
        granted = known_scopes(word for word in words if isinstance(word, str))
        return Principal(f"jwt:{subject}", granted, self._limits), float(claims["exp"]) + _LEEWAY_S


def key_source(
    rules: TokenRules, key_file: Path | None, jwks_url: str | None, clock: Callable[[], float]
) -> OneKey | IssuerKeys:
    """Where the keys come from: a file, a URL, or what the issuer's discovery document names.

    Raises `TokenSetupError`.
    """
    if key_file:
        return OneKey(key_in_file(key_file, rules.algorithm))
    try:
        check_url(jwks_url or rules.issuer)
    except FetchFailed as error:
        raise TokenSetupError(str(error)) from None
    return IssuerKeys(rules.issuer, jwks_url, parser_of_keys(rules.algorithm), clock)


def key_in_file(path: Path, algorithm: str) -> object:
    """The public key in a PEM file. Raises `TokenSetupError`."""
    try:
        text = path.read_bytes()
        if b"PRIVATE KEY" in text:
            raise TokenSetupError(f"{path} holds a private key: the server needs the public one only")
        return jwt.get_algorithm_by_name(algorithm).prepare_key(text)
    except (OSError, ValueError, TypeError, jwt.InvalidKeyError) as error:
        raise TokenSetupError(f"{path} holds no public key for {algorithm}: {error}") from None


def parser_of_keys(algorithm: str) -> Parse:
    """What reads a JWKS document: the signing keys that fit the algorithm, by id; others are left out."""

    def parse(document: Mapping[str, object]) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        entries = document.get("keys")
        for entry in entries if isinstance(entries, list) else []:
            if not isinstance(entry, dict) or not _fits(entry, algorithm):
                continue
            try:
                found[str(entry.get("kid", ""))] = jwt.PyJWK(entry, algorithm)
            except (jwt.PyJWKError, jwt.InvalidKeyError, ValueError, TypeError):
                continue
        if not found:
            raise FetchFailed(f"the issuer has no key for {algorithm}")
        return found

    return parse


def _fits(entry: Mapping[str, object], algorithm: str) -> bool:
    """A public key for signatures with this algorithm, as far as it says."""
    return (
        entry.get("kty") == _KEY_TYPES[algorithm]
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
    )
