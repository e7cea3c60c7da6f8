"""Which client a request comes from."""

import pytest

from server.web.client import Origin, TrustedProxies

PROXIES = TrustedProxies("10.0.0.0/8, 192.168.1.1,fd00::/8")


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        pytest.param("1.2.3.4", [], "1.2.3.4", id="nobody between"),
        pytest.param("1.2.3.4", [(b"x-forwarded-for", b"5.6.7.8")], "1.2.3.4", id="a client that makes one up"),
        pytest.param("10.0.0.1", [(b"x-forwarded-for", b"1.2.3.4")], "1.2.3.4", id="one proxy"),
        pytest.param("10.0.0.1", [(b"x-forwarded-for", b"5.6.7.8, 1.2.3.4")], "1.2.3.4", id="made up before a proxy"),
        pytest.param("10.0.0.1", [(b"x-forwarded-for", b"1.2.3.4, 192.168.1.1")], "1.2.3.4", id="two proxies"),
        pytest.param("10.0.0.1", [(b"x-forwarded-for", b"1.2.3.4:5678")], "1.2.3.4", id="with its port"),
        pytest.param("fd00::1", [(b"x-forwarded-for", b"2001:db8::1")], "2001:db8::1", id="IPv6"),
        pytest.param("::ffff:10.0.0.1", [(b"x-forwarded-for", b"::ffff:1.2.3.4")], "1.2.3.4", id="IPv4 as IPv6"),
        pytest.param(
            "10.0.0.1", [(b"forwarded", b'for="[2001:db8::1]:4711";proto=http')], "2001:db8::1", id="RFC 7239"
        ),
        pytest.param(
            "10.0.0.1", [(b"forwarded", b"for=5.6.7.8, For=1.2.3.4;by=10.0.0.9")], "1.2.3.4", id="two of them"
        ),
        pytest.param(
            "10.0.0.1",
            [(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", b"10.0.0.2")],
            "1.2.3.4",
            id="two headers",
        ),
        pytest.param("10.0.0.1", [], "", id="a proxy that names nobody"),
        pytest.param("10.0.0.1", [(b"forwarded", b"for=_hidden")], "", id="a name that is no address"),
        pytest.param("10.0.0.1", [(b"x-forwarded-for", b"1.2.3.4, unknown")], "", id="unknown"),
        pytest.param("10.0.0.1", [(b"x-forwarded-for", b"10.0.0.2")], "", id="proxies alone"),
    ],
)
def test_client_is_the_last_hop_that_is_not_trusted(peer, headers, client):
    """What stands before it was written by whoever liked to."""
    assert Origin(client, trusted=not peer.startswith("1.")) == PROXIES.origin(peer, headers)


def test_without_trusted_proxies_the_peer_is_the_client():
    """Whatever it says."""
    assert Origin("10.0.0.1") == TrustedProxies("").origin("10.0.0.1", [(b"x-forwarded-for", b"1.2.3.4")])
