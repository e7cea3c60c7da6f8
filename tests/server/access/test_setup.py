"""From settings to what is checked: whatever is configured, nobody gets in by an empty table."""

import asyncio

import pytest

from server.access.errors import KeyFileError, TokenSetupError, Unauthenticated
from server.access.setup import set_up
from server.settings import AuthSettings
from tests.security.issuer import AUDIENCE, Issuer


def refused(settings, credential):
    """Give why a credential is refused."""
    authenticator = set_up(settings).authenticator
    with pytest.raises(Unauthenticated) as caught:
        asyncio.run(authenticator.identify(f"Bearer {credential}".encode(), "ip:a", 0.0))
    return caught.value.reason


def test_nothing_configured_checks_nobody():
    """The default, on loopback."""
    assert set_up(AuthSettings()).authenticator is None


def test_a_key_file_without_keys_lets_nobody_in(tmp_path):
    """An empty file is no open door."""
    path = tmp_path / "keys.json"
    path.write_text('{"keys": []}')
    path.chmod(0o600)

    assert "unknown_key" == refused(AuthSettings(keys=path), "tureen_x")


def test_tokens_alone_let_nobody_else_in(tmp_path):
    """Before the first token was verified, too."""
    issuer = Issuer("https://issuer.example")
    path = tmp_path / "key.pem"
    path.write_bytes(issuer.public_pem())
    settings = AuthSettings(jwt_issuer=issuer.url, jwt_audience=AUDIENCE, jwt_key=path)

    assert "unknown_key" == refused(settings, "tureen_x")
    assert "bad_token" == refused(settings, issuer.forged("none"))
    found = asyncio.run(set_up(settings).authenticator.identify(b"Bearer " + issuer.token().encode(), "ip:a", 0.0))
    assert "jwt:user-1" == found.id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"jwt_issuer": "https://a"}, "jwt_audience is missing"),
        ({"jwt_issuer": "http://a.example", "jwt_audience": "b"}, "must be an https URL"),
        ({"jwt_issuer": "a", "jwt_audience": "b", "jwks_url": "file:///etc/passwd"}, "must name a host"),
        ({"jwt_issuer": "a", "jwt_audience": "b", "jwks_url": "https://u:p@a/"}, "no user"),
    ],
)
def test_tokens_that_could_not_be_checked_safely_stop_the_start(fields, reason):
    """With what would be right."""
    with pytest.raises(TokenSetupError, match=reason):
        set_up(AuthSettings(**fields))


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path):
    """It has no business on this machine."""
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----")

    with pytest.raises(TokenSetupError, match="private"):
        set_up(AuthSettings(jwt_issuer="a", jwt_audience="b", jwt_key=path))


def test_a_broken_key_file_stops_the_start(tmp_path):
    """Better no server than an open one."""
    path = tmp_path / "keys.json"
    path.write_text("{")

    with pytest.raises(KeyFileError):
        set_up(AuthSettings(keys=path))
