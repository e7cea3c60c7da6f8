"""API keys: the file, the look-up, and what `tureen keys` does."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from server.access import admin
from server.access.errors import KeyFileError, Unauthenticated
from server.access.key_file import KeyRecord, read_keys
from server.access.keyring import KeyRing
from server.access.principal import Limits


def record(name="alice", **fields):
    """Give a record whose secret is still to be made."""
    return KeyRecord(**{"name": name, "hash": "0" * 64, "scopes": ("infer",), "created": datetime.now(UTC), **fields})


@pytest.fixture
def path(tmp_path):
    """Give where a key file may be made."""
    return tmp_path / "keys.json"


def test_a_new_key_finds_its_principal(path):
    """With the scopes, limits and weight it was given."""
    secret = admin.add(path, record(scopes=("infer", "metrics"), rate=2.0, in_flight=3, weight=0.5))

    found = KeyRing(read_keys(path)).holder(secret.encode())

    assert ("key:alice", {"infer", "metrics"}, Limits(2.0, None, 3), 0.5) == found


def test_no_secret_stands_in_the_file_or_the_audit_log(path):
    """Whoever reads them can do nothing with them."""
    secret = admin.add(path, record())

    texts = path.read_text() + admin.audit_path(path).read_text()
    assert secret not in texts
    assert secret.removeprefix("tureen_") not in texts


def test_the_file_is_its_owners_only(path):
    """Mode 0600, from the first byte on."""
    admin.add(path, record())

    assert 0o600 == path.stat().st_mode & 0o777


@pytest.mark.parametrize("secret", [b"", b"tureen_", b"tureen_" + b"A" * 43, b"\xff" * 50])
def test_an_unknown_key_is_refused(path, secret):
    """Whatever it looks like."""
    admin.add(path, record())

    with pytest.raises(Unauthenticated, match="unknown_key"):
        KeyRing(read_keys(path)).holder(secret)


def test_a_key_works_until_it_expires_and_not_a_moment_longer(path):
    """By the wall clock."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    secret = admin.add(path, record(expires=expires)).encode()
    keys = read_keys(path)

    KeyRing(keys, wall=lambda: expires.timestamp() - 0.001).holder(secret)
    with pytest.raises(Unauthenticated, match="expired"):
        KeyRing(keys, wall=expires.timestamp).holder(secret)


def test_a_revoked_key_is_unknown(path):
    """And the others go on."""
    alice, bob = admin.add(path, record()).encode(), admin.add(path, record("bob")).encode()
    ring = KeyRing(read_keys(path))

    admin.revoke(path, "alice")
    ring.replace(read_keys(path))

    assert "key:bob" == ring.holder(bob).id
    with pytest.raises(Unauthenticated):
        ring.holder(alice)


def test_a_rotated_key_has_two_secrets_for_a_while(path):
    """The old one ends with the grace."""
    old = admin.add(path, record()).encode()
    new = admin.rotate(path, "alice", timedelta(hours=1)).encode()
    now = datetime.now(UTC).timestamp()

    soon, later = (KeyRing(read_keys(path), wall=lambda after=after: now + after) for after in (3500, 3700))
    assert soon.holder(old) == soon.holder(new) == later.holder(new)
    with pytest.raises(Unauthenticated, match="expired"):
        later.holder(old)


def test_a_second_rotation_ends_the_first_secret(path):
    """There are two at most."""
    first = admin.add(path, record()).encode()
    admin.rotate(path, "alice")
    admin.rotate(path, "alice")

    with pytest.raises(Unauthenticated):
        KeyRing(read_keys(path)).holder(first)


def test_a_name_is_given_once(path):
    """Else a revocation would be ambiguous."""
    admin.add(path, record())

    with pytest.raises(KeyFileError, match="already"):
        admin.add(path, record())


@pytest.mark.parametrize("act", [admin.revoke, admin.rotate])
def test_an_act_on_no_key_is_an_error(path, act):
    """A misspelt name is no revocation."""
    with pytest.raises(KeyFileError, match="no key named alice"):
        act(path, "alice")


def test_every_act_leaves_a_line_that_says_who_what_and_when(path):
    """In the order of the acts."""
    admin.add(path, record())
    admin.rotate(path, "alice")
    admin.revoke(path, "alice")

    lines = [json.loads(line) for line in admin.audit_path(path).read_text().splitlines()]
    assert ["keys.add", "keys.rotate", "keys.revoke"] == [line["act"] for line in lines]
    assert all(line.keys() == {"time", "who", "act", "target"} for line in lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no key file"),
        ("[]", "no key file"),
        ('{"keys": [{"name": "a"}]}', "no key file"),
        ('{"keys": [], "more": 1}', "no key file"),
    ],
)
def test_a_malformed_file_is_refused(path, text, reason):
    """With its name, and without what stands in it."""
    path.write_text(text)

    with pytest.raises(KeyFileError, match=reason):
        read_keys(path)


def test_a_scope_that_nobody_knows_is_refused(path):
    """A misspelt scope would be one that is missing."""
    admin.add(path, record(scopes=("infre",)))

    with pytest.raises(KeyFileError, match="unknown scope infre"):
        read_keys(path)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(path, mode):
    """Whoever can write it can let himself in."""
    admin.add(path, record())
    path.chmod(mode)

    with pytest.raises(KeyFileError, match="chmod 600"):
        read_keys(path)


def tureen_keys(*words):
    """Run the command."""
    command = [sys.executable, "-m", "server", "keys", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_the_command_shows_a_key_once_and_lists_it_without_its_secret(path):
    """Standard output is the key alone."""
    made = tureen_keys("add", "alice", "--keys", path, "--expires", "90d", "--rate", "2")
    listed = tureen_keys("list", "--keys", path)

    secret = made.stdout.strip()
    assert "key:alice" == KeyRing(read_keys(path)).holder(secret.encode()).id
    assert "alice" in listed.stdout
    assert secret not in listed.stdout


@pytest.mark.parametrize(
    "words", [["revoke", "nobody"], ["add", "../x"], ["add", "a", "--expires", "soon"]], ids=["none", "name", "time"]
)
def test_the_command_says_what_is_wrong(path, words):
    """In one line, with exit code 1."""
    run = tureen_keys(*words, "--keys", path)

    assert 1 == run.returncode
    assert run.stderr.startswith("tureen keys: ")
    assert not path.exists()
