"""Who gets which version."""

from collections import Counter

import pytest

from server.rollout.assignment import arm_of, position, pseudonym, within

CLIENTS = [f"client-{number}" for number in range(4000)]


def test_a_client_stands_where_it_stood():
    """In every process, and after a restart."""
    assert position("salt", "alice") == position("salt", "alice")


def test_a_larger_share_keeps_those_who_were_in():
    """From 1 % to 10 % nobody goes back to the old version."""
    few = {client for client in CLIENTS if within(position("salt", client), 0.01)}
    many = {client for client in CLIENTS if within(position("salt", client), 0.1)}

    assert few
    assert few < many


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_shares_are_kept(share):
    """Within five standard deviations."""
    inside = sum(within(position("salt", client), share) for client in CLIENTS)

    assert inside == pytest.approx(share * len(CLIENTS), abs=5 * (share * len(CLIENTS)) ** 0.5)


def test_all_are_within_the_whole():
    """Nobody is left behind at 100 %."""
    assert all(within(position("salt", client), 1.0) for client in CLIENTS)


def test_another_salt_spreads_anew():
    """The same clients are not the guinea pigs of every rollout."""
    one, other = ({client for client in CLIENTS if within(position(salt, client), 0.1)} for salt in ("one", "other"))

    assert len(one & other) < 0.3 * len(one)


def test_arms_have_their_shares():
    """And the last takes what rounding leaves."""
    arms = (("a", 0.2), ("b", 0.3), ("c", 0.5))
    counts = Counter(arm_of(position("salt", client), arms) for client in CLIENTS)

    assert [0.2, 0.3, 0.5] == [pytest.approx(counts[name] / len(CLIENTS), abs=0.04) for name, _ in arms]
    assert "c" == arm_of(0.9999999999999999, (("a", 0.2), ("b", 0.3), ("c", 0.49999999)))


def test_a_pseudonym_tells_no_key():
    """It is of one salt only, and not the position."""
    assert pseudonym("salt", "alice") != pseudonym("other", "alice")
    assert "alice" not in pseudonym("salt", "alice")
