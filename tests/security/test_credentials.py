"""Attacks on credentials, over sockets: every one ends in 401 or 403, whose body tells nothing."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from server.access.errors import REASONS
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.security.issuer import AUDIENCE, issuing
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def world(request, tmp_path_factory):
    """A server that knows keys and tokens, its key file's secrets, and the issuer."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    past = datetime.now(UTC) - timedelta(seconds=1)
    secrets = {
        "infer": add_key(path, "infer"),
        "metrics": add_key(path, "metrics", "metrics"),
        "admin": add_key(path, "admin", "admin"),
        "none": add_key(path, "none", "records"),
        "expired": add_key(path, "expired", expires=past),
    }
    with issuing() as issuer:
        flags = ["--http-server", request.param, "--keys", str(path), "--require-auth", "--threads", "1"]
        flags += ["--jwt-issuer", issuer.url, "--jwt-audience", AUDIENCE]
        with serving(*flags, admin=secrets["admin"]) as server:
            yield server, secrets, issuer, path


def run(server, method, path, headers, body=b""):
    """Give the reply to one request on a connection of its own."""

    async def work():
        client = await server.connect()
        return await client.request(method, path, body, **headers)

    return server.run(work())


def attacks(issuer):
    """Give each bad token by its name."""
    now = datetime.now(UTC).timestamp()
    issuer.add_key("secret")
    stranger = issuer.keys.pop("secret")
    good = issuer.token()
    head, claims, signature = good.split(".")
    return {
        "expired": issuer.token(exp=now - 60),
        "not yet": issuer.token(nbf=now + 60),
        "other audience": issuer.token(aud="urn:other"),
        "audience as a part": issuer.token(aud=AUDIENCE + "2"),
        "other issuer": issuer.token(iss="http://127.0.0.1:1"),
        "issuer as a prefix": issuer.token(iss=issuer.url + ".evil.example"),
        **{f"no {name}": issuer.token(**{name: None}) for name in ("exp", "nbf", "iss", "aud", "sub")},
        **{f"alg {name}": issuer.forged(name) for name in ("none", "None", "nOnE", "NONE", "")},
        "HS256 with the public key": issuer.forged("HS256", issuer.public_pem()),
        "RS256 with an HMAC": issuer.forged("RS256", issuer.public_pem()),
        "unknown kid": issuer.token(headers={"kid": "two"}),
        "kid as a path": issuer.token(headers={"kid": "../../../../dev/null"}),
        "kid as SQL": issuer.token(headers={"kid": "x' UNION SELECT 'key"}),
        "key in the header": issuer.token(key=stranger, headers={"jku": "http://127.0.0.1:1/", "x5u": "http://a/"}),
        "other key": issuer.token(key=stranger),
        "unknown crit": issuer.token(headers={"crit": ["x"], "x": 1}),
        "cut": good[:-10],
        "without signature": f"{head}.{claims}.",
        "changed claims": f"{head}.{claims[:-4]}AAAA.{signature}",
        "two parts": f"{head}.{claims}",
        "oversized": issuer.token(pad="x" * 9000),
        "no token": "x",
        "empty": "",
    }


def test_no_bad_token_gets_through(world):
    """All are answered alike: the same status and document, with a challenge (RFC 6750)."""
    server, _, issuer, _ = world

    async def work():
        replies = {}
        for name, token in attacks(issuer).items():
            client = await server.connect()
            replies[name] = await client.post(PHOTO, x_request_id="r", **bearer(token))
        return replies

    replies = server.run(work())

    assert {} == {name: reply.status for name, reply in replies.items() if reply.status != 401}
    assert 1 == len({reply.body for reply in replies.values()})
    assert all(reply.headers["www-authenticate"].startswith("Bearer ") for reply in replies.values())
    assert "application/problem+json" == replies["cut"].headers["content-type"]


def test_refused_credentials_are_counted_by_a_fixed_set_of_reasons(world):
    """However a token is bad, no reason is new; each refusal counts once."""
    server, _, issuer, _ = world
    name = "tureen_auth_refusals_total"

    def reasons(metrics):
        return {one[len(name) + 9 : -2]: count for one, count in metrics.items() if one.startswith(name)}

    async def work():
        before = reasons(await server.metrics())
        tokens = list(attacks(issuer).values())[::4]
        for token in tokens:
            client = await server.connect()
            await client.post(PHOTO, **bearer(token))
        return before, reasons(await server.metrics()), len(tokens)

    before, after, sent = server.run(work())

    assert {*before} <= {*after} <= {*REASONS}
    assert sent == sum(after.values()) - sum(before.values())


@pytest.mark.parametrize(
    "header",
    ["", "Basic Zm9vOmJhcg==", "Bearer", "Bearer ", "bearer tureen_", "Bearer tureen_" + "A" * 43, "Token x", "\xff"],
)
def test_no_other_header_gets_through(world, header):
    """Nor does none."""
    server, *_ = world
    reply = run(server, "POST", "/v1/images", {"authorization": header} if header else {}, PHOTO)

    assert (401, "unauthenticated") == (reply.status, reply.json()["code"])


def test_two_authorization_headers_are_refused(world):
    """A proxy may have looked at the other one."""
    server, secrets, *_ = world

    async def work():
        client = await server.connect()
        one = f"authorization: Bearer {secrets['infer']}\r\n"
        client.writer.write(f"GET / HTTP/1.1\r\nhost: t\r\n{one}{one}\r\n".encode())
        return await client.read()

    assert 401 == server.run(work()).status


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("infer", "POST", "/v1/images", 200),
        ("admin", "POST", "/v1/images", 200),
        ("metrics", "POST", "/v1/images", 403),
        ("none", "POST", "/v1/images", 403),
        ("expired", "POST", "/v1/images", 401),
        ("infer", "GET", "/metrics", 403),
        ("metrics", "GET", "/metrics", 200),
        ("admin", "GET", "/metrics", 200),
        ("infer", "GET", "/debug/profile", 403),
        ("metrics", "GET", "/debug/stacks", 403),
        ("admin", "GET", "/debug/stacks", 200),
        ("infer", "GET", "/metrics/", 403),
        ("infer", "GET", "//metrics", 403),
        ("infer", "GET", "/%6detrics", 403),
        ("infer", "GET", "/metrics%0a", 403),
        ("infer", "GET", "/v1/../metrics", 403),
        ("infer", "GET", "/v1/images%2f..%2f..%2fmetrics", 403),
        ("infer", "GET", "/nowhere", 403),
        ("admin", "GET", "/nowhere", 404),
        ("infer", "GET", "/", 200),
        (None, "GET", "/", 401),
        (None, "GET", "/metrics", 401),
        (None, "GET", "/healthz", 200),
        (None, "GET", "/readyz", 200),
    ],
)
def test_a_key_opens_what_its_scopes_say(world, who, method, path, status):
    """However the path is written."""
    server, secrets, *_ = world
    reply = run(server, method, path, bearer(secrets[who]) if who else {}, PHOTO if method == "POST" else b"")

    assert status == reply.status


def test_a_refusal_does_not_wait_for_the_body(world):
    """It is decided by the head: a client that sends no body gets it as well."""
    server, *_ = world

    async def work():
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        return head

    assert b" 401 " in server.run(work())


def test_a_good_token_is_answered_at_first_and_from_the_cache(world):
    """With its scopes and no others."""
    server, _, issuer, _ = world
    token = issuer.token(scope="openid infer")

    async def work():
        client = await server.connect()
        images = [await client.post(PHOTO, **bearer(token)) for _ in range(3)]
        return images, await client.request("GET", "/metrics", **bearer(token))

    images, metrics = server.run(work())

    assert [200] * 3 == [reply.status for reply in images]
    assert (403, "forbidden") == (metrics.status, metrics.json()["code"])
    assert 'error="insufficient_scope", scope="metrics"' in metrics.headers["www-authenticate"]


def test_a_flood_of_unknown_key_ids_asks_the_issuer_once(world):
    """The issuer is no amplifier for strangers."""
    server, _, issuer, _ = world
    before = issuer.fetches

    async def work():
        clients = [await server.connect() for _ in range(20)]
        tokens = [issuer.token(headers={"kid": f"no{n}"}) for n in range(20)]
        return await asyncio.gather(*(c.post(PHOTO, **bearer(t)) for c, t in zip(clients, tokens, strict=True)))

    assert {401, 429} >= {reply.status for reply in server.run(work())}
    assert issuer.fetches - before <= 1


def test_nothing_of_a_credential_is_logged(world):
    """Neither of good ones nor of bad ones."""
    server, secrets, issuer, _ = world
    token = issuer.token()
    for credential in (secrets["infer"], token, "tureen_" + "canary" * 7, "not.a.token-canary"):
        run(server, "POST", "/v1/images?key=canary", bearer(credential), PHOTO)

    for text in (*secrets.values(), token.split(".")[2], "canary"):
        assert text not in server.log


def test_a_key_that_is_revoked_stops_within_seconds_and_a_new_one_works(world):
    """Without a restart, and without a failed request of others."""
    server, secrets, _, path = world
    from server.access import admin

    new = add_key(path, f"new-{server.port}")

    async def until(secret, status):
        while True:
            reply = await (await server.connect()).request("GET", "/", **bearer(secret))
            others = await (await server.connect()).request("GET", "/", **bearer(secrets["infer"]))
            assert 200 == others.status
            if reply.status == status:
                return

    server.run(until(new, 200))
    admin.revoke(path, f"new-{server.port}")
    server.run(until(new, 401))


def test_the_audit_log_has_each_act_and_no_secret(world):
    """Who, what and when."""
    _, secrets, _, path = world
    text = path.with_name(path.name + ".audit").read_text()

    assert "keys.add" in {json.loads(line)["act"] for line in text.splitlines()}
    assert not any(secret in text for secret in secrets.values())
