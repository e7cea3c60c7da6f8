"""Tokens of an OpenID Connect provider that is not ours (npm's oidc-provider): discovery, rotation, and an outage."""

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.harness import before_all, serving
from tests.security.keys import add_key
from tests.security.oidc import AUDIENCE, post, providing, rotating

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
PROGRAM = ("node", str(Path(__file__).with_name("provider") / "provider.mjs"), str(ROOT / ".venvs" / "provider"))
FASTER = 200
"""Keys are renewed so many times as often: an outage of ten minutes takes three seconds."""
OUTAGE_S = 600 / FASTER

SHORT = f"""
import sys
if "server.web.process" in sys.orig_argv:
    import server.process.lean
    import server.access.issuer_keys as keys
    for name in ("RENEW_S", "FIRST_RETRY_S", "LONGEST_RETRY_S", "UNKNOWN_KID_S"):
        setattr(keys, name, getattr(keys, name) / {FASTER})
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server whose time with the issuer is short, and which knows the provider by its URL alone."""
    folder = tmp_path_factory.mktemp("provider")
    (folder / "sitecustomize.py").write_text(SHORT)
    admin = add_key(folder / "keys.json", "admin", "admin")
    with providing(PROGRAM) as provider:
        flags = ["--keys", str(folder / "keys.json"), "--jwt-issuer", provider.url, "--jwt-audience", AUDIENCE]
        environ = {"PYTHONPATH": before_all(folder)}
        with serving(*flags, "--workers", "1", admin=admin, environ=environ) as server:
            yield server, provider


def test_a_token_of_the_token_endpoint_is_accepted(world):
    """Found by discovery, verified by the published key; a scope that it does not carry is refused."""
    server, provider = world
    token, without = provider.token(), provider.token(scope="metrics")

    async def work():
        return await post(server, token), await post(server, without)

    assert (200, 403) == server.run(work())


def test_keys_rotate_in_the_midst_of_load(world):
    """Not one request is refused, though the new key signs at once, and the old tokens are still in use."""
    server, provider = world

    assert {200} == {*server.run(rotating(server, provider))}


def test_an_outage_of_ten_minutes_refuses_nobody_whose_key_is_known(world):
    """Neither tokens in use nor new ones; the key that signs after it is in force soon."""
    server, provider = world
    used, unused = provider.token(), [provider.token() for _ in range(200)]

    async def work():
        statuses, loop = [await post(server, used)], asyncio.get_running_loop()
        before, end = await asyncio.to_thread(provider.tell, "down"), loop.time() + OUTAGE_S
        while loop.time() < end and unused:
            statuses += [await post(server, used), await post(server, unused.pop())]
            await asyncio.sleep(0.02)  # so that the tokens last
        await asyncio.to_thread(provider.tell, "rotate")
        await asyncio.to_thread(provider.tell, "up")
        new = await asyncio.to_thread(provider.token)
        while await post(server, new) != 200:
            statuses.append(await post(server, used))
        return statuses, await asyncio.to_thread(provider.tell, "up") - before

    statuses, fetches = server.run(work())

    assert {200} == {*statuses}
    assert 1 <= fetches <= 5  # since it is up again
    assert "issuer_keys_not_renewed" in server.log
