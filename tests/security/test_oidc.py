"""Tokens of an OpenID Connect provider that misbehaves; `test_provider.py` has one that is not ours."""

import asyncio

import pytest

from tests.end_to_end.harness import serving
from tests.security.keys import add_key
from tests.security.oidc import AUDIENCE, KINDS, post, providing

pytestmark = pytest.mark.timeout(120)

# In this order: an unknown key id that was asked for in vain is not asked for again at once.


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server that knows the provider by its URL alone."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    admin = add_key(path, "admin", "admin")
    with providing() as provider:
        provider.tell("rotate")  # two keys are published from now on
        flags = ["--keys", str(path), "--jwt-issuer", provider.url, "--jwt-audience", AUDIENCE, "--threads", "1"]
        with serving(*flags, "--workers", "1", admin=admin) as server:
            yield server, provider


def test_a_provider_that_hangs_delays_nobody_else(world):
    """Tokens that its known keys signed pass, new ones included; one that needs it is refused in the end."""
    server, provider = world
    before, new = provider.token(), [provider.token() for _ in range(5)]
    provider.tell("rotate")
    unknown = provider.token()
    provider.hang()
    try:

        async def work():
            late = asyncio.create_task(post(server, unknown))
            while not late.done():
                others = [await post(server, token) for token in (before, *new)]
                assert [200] * 6 == others
            return late.result(), await post(server, before)

        assert (401, 200) == server.run(work())
    finally:
        provider.go_on()
    assert "issuer_keys_not_renewed" in server.log


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_signed_in_any_other_way_is_refused(world, kind):
    """Though the provider itself has signed it, or its JWKS holds the key."""
    server, provider = world

    assert 401 == server.run(post(server, provider.token(kind)))
