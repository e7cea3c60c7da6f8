"""Rates, images under way, and the ids that they are counted by."""

import resource

import pytest

from server.access.bucket import MOST, Buckets
from server.access.in_flight import InFlight
from server.access.principal import Principal, address_id


def test_a_full_bucket_lets_a_burst_through_and_then_the_rate():
    """Five at once, then one each half second."""
    buckets = Buckets()

    at_once = [buckets.take("a", 2.0, 5.0, 0.0).wait_s for _ in range(6)]
    later = [buckets.take("a", 2.0, 5.0, now).wait_s for now in (0.5, 0.6, 1.0)]

    assert [0.0] * 5 + [0.5] == at_once
    assert [0.0, pytest.approx(0.4), 0.0] == later


def test_what_was_refused_costs_nothing():
    """A client that hammers on gets the same rate as one that waits."""
    buckets = Buckets()

    passed = sum(buckets.take("a", 10.0, 1.0, n / 1000).wait_s == 0 for n in range(10_000))

    assert 100 <= passed <= 101


def test_clients_have_buckets_of_their_own():
    """One that is empty is no other's."""
    buckets = Buckets()
    buckets.take("a", 1.0, 1.0, 0.0)

    assert 1.0 == buckets.take("a", 1.0, 1.0, 0.0).wait_s
    assert 0.0 == buckets.take("b", 1.0, 1.0, 0.0).wait_s


def test_peeking_tells_and_takes_nothing():
    """As often as one likes."""
    buckets = Buckets()

    assert [0.0, 0.0] == [buckets.peek("a", 1.0, 1.0, 0.0) for _ in range(2)]
    buckets.take("a", 1.0, 1.0, 0.0)
    assert 1.0 == buckets.peek("a", 1.0, 1.0, 0.0)


@pytest.mark.long
def test_memory_stays_flat_over_a_million_clients():
    """The one unused for longest makes room."""
    buckets = Buckets()
    for n in range(2 * MOST):
        buckets.take(f"warm{n}", 1.0, 1.0, 0.0)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for n in range(1_000_000):
        buckets.take(f"ip:{n}", 1.0, 1.0, n * 1e-3)

    assert MOST == len(buckets)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 4096


def test_only_clients_with_an_image_under_way_are_kept():
    """The last one gone, so is the client."""
    counts = InFlight()
    for client in ("a", "a", "b"):
        counts.begin(client)
    counts.end("a")
    counts.end("b")

    assert (1, 0, 1) == (counts.of("a"), counts.of("b"), len(counts))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.7", "ip:10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "ip:2001:db8:1:2::/64"),
        ("::ffff:10.0.0.7", "ip:10.0.0.7"),
        ("fe80::1%eth0", "ip:fe80::/64"),
        ("a:b", "ip:unknown"),
    ],
)
def test_an_ipv6_network_is_one_client(host, expected):
    """Whoever has one has 2**64 addresses."""
    assert expected == address_id(host)


def test_admin_includes_every_scope():
    """And no other does."""
    assert Principal("key:a", frozenset({"admin"})).may("metrics")
    assert not Principal("key:a", frozenset({"infer"})).may("metrics")
