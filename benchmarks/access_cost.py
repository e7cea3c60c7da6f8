"""What the gate costs per request: `python -m benchmarks.access_cost`. Needs the extra `jwt`.

Each figure is the median of fifteen rounds, in microseconds per request, of the gate alone: from the headers of a
request to its principal, scope, rate and count of images under way.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from server.access.authenticator import Authenticator
from server.access.issuer_keys import OneKey
from server.access.key_file import KeyRecord
from server.access.keyring import KeyRing
from server.access.principal import NO_LIMITS, Limits
from server.access.secret import digest, new_secret
from server.access.tokens import TokenRules, Tokens
from server.web.client import Origin
from server.web.gate import Gate

_ROUNDS, _CALLS = 15, 2000
_KEYS = 10_000
_ISSUER, _AUDIENCE = "https://issuer.example", "urn:tureen"


def main() -> None:
    """Print a table."""
    secret = new_secret()
    now = datetime.now(UTC)
    records = [KeyRecord(f"k{n}", f"{n:064x}", ("infer",), now) for n in range(_KEYS)]
    records.append(KeyRecord("me", digest(secret.encode()).hex(), ("infer",), now))
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    tokens = Tokens(TokenRules(_ISSUER, _AUDIENCE, "RS256"), OneKey(private.public_key()), NO_LIMITS)
    authenticator = Authenticator(KeyRing(records), tokens)
    token = _token(private)
    limits = Limits(1e6, 1_000_000, 1000)
    key_header, token_header = [f"Bearer {secret}".encode()], [f"Bearer {token}".encode()]
    rows = {
        "nothing configured": _entering(Gate(None), []),
        f"a key of {_KEYS}": _entering(Gate(authenticator), key_header),
        "the same, with limits": _entering(Gate(authenticator, limits), key_header),
        "a token seen before, with limits": _entering(Gate(authenticator, limits), token_header),
    }
    for name, call in rows.items():
        print(f"{name:34} {_microseconds(call, _CALLS):7.1f} us")
    first = _microseconds(lambda: _verify(tokens, token.encode()), 100)
    print(f"{'a token for the first time':34} {first:7.1f} us")


def _entering(gate: Gate, given: list[bytes]) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        gate.leave(await gate.enter("POST", "/v1/images", given, Origin("127.0.0.1"), time.monotonic()))

    return call


async def _verify(tokens: Tokens, token: bytes) -> None:
    tokens.forget()
    await tokens.verify(token)


def _token(private: rsa.RSAPrivateKey) -> str:
    now = datetime.now(UTC).timestamp()
    claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "me", "scope": "infer", "nbf": now - 1, "exp": now + 600}
    return jwt.encode(claims, private, algorithm="RS256")


def _microseconds(call: Callable[[], Awaitable[None]], count: int) -> float:
    async def round_() -> float:
        begun = time.process_time()
        for _ in range(count):
            await call()
        return (time.process_time() - begun) / count * 1e6

    return statistics.median(asyncio.run(round_()) for _ in range(_ROUNDS))


if __name__ == "__main__":
    main()
