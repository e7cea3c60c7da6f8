"""The ledger of shares: who is within its share, and what memory it takes."""

import random
import resource

import pytest

from server.contract.owner import Owner
from server.engine.shares import ACTIVE_S, Shares

COST_S = 0.01
SLO_S = 1.0


class Workers:
    """One image after the other, in virtual time: those within their share first, and none that would be late."""

    def __init__(self, shares, rate):
        self.shares = shares
        self.each_s = 1 / rate
        self.free = 0.0
        self.within, self.beyond = [], []
        self.done = {}

    def arrive(self, owner, now):
        charged = self.shares.charge(owner, COST_S, now)
        ahead = len(self.within) + (0 if charged else len(self.beyond))
        if max(self.free - now, 0.0) + (ahead + 1) * self.each_s <= SLO_S:
            (self.within if charged else self.beyond).append((owner, now))
        elif charged:
            self.shares.give_back(owner, COST_S)

    def run_until(self, now):
        while self.free <= now and (self.within or self.beyond):
            owner, asked = (self.within or self.beyond).pop(0)
            start = max(self.free, asked)
            if start + self.each_s - asked <= SLO_S:
                self.free = start + self.each_s
                self.done[owner.id] = self.done.get(owner.id, 0) + 1
                self.shares.mint(COST_S)


def play(rates, weights=None, capacity=100.0, seconds=30.0):
    """Offer Poisson arrivals at `rates` per owner; give the fraction of each that was answered in time."""
    rng = random.Random(7)
    workers = Workers(Shares(0.5), capacity)
    arrivals, offered = [], {}
    for name, rate in rates.items():
        now = 0.0
        while (now := now + rng.expovariate(rate)) < seconds:
            arrivals.append((now, name))
            offered[name] = offered.get(name, 0) + 1
    for now, name in sorted(arrivals):
        workers.run_until(now)
        workers.arrive(Owner(name, (weights or {}).get(name, 1.0)), now)
    workers.run_until(seconds + 1)
    return {name: workers.done.get(name, 0) / count for name, count in offered.items()}, workers.done


def test_a_flood_takes_nothing_from_those_within_their_share():
    """One at fifty times its share, ten at eight tenths of theirs."""
    behaved = {f"b{n}": 0.8 * 100 / 11 for n in range(10)}
    answered, _ = play({"flood": 50 * 100 / 11, **behaved})

    assert min(answered[name] for name in behaved) >= 0.95


def test_a_flood_gets_what_others_leave():
    """Workers are not kept idle for shares that nobody uses."""
    _, done = play({"flood": 500.0, "b": 10.0})

    assert sum(done.values()) >= 0.97 * 30 * 100


def test_shares_are_by_weight():
    """Of two floods, the one of weight three gets three quarters."""
    _, done = play({"a": 400.0, "b": 400.0}, {"a": 3.0, "b": 1.0})

    assert 2.6 <= done["a"] / done["b"] <= 3.4


def test_alone_an_owner_is_within_its_share():
    """Whatever it asks for: there is nobody to share with."""
    shares = Shares(0.5)

    assert all(shares.charge(Owner("a"), COST_S, n * 1e-4) for n in range(10_000))


def test_what_is_refused_is_given_back():
    """An owner that asks in vain can still ask."""
    shares = Shares(0.1)
    shares.charge(Owner("other"), COST_S, 0.0)
    for _ in range(100):
        assert shares.charge(Owner("a"), COST_S, 0.0)
        shares.give_back(Owner("a"), COST_S)


def test_asking_anew_gives_no_new_credit():
    """Silence for a moment is no way to a full account."""
    shares = Shares(0.1)
    shares.charge(Owner("other"), COST_S, 0.0)
    while shares.charge(Owner("a"), COST_S, 0.0):
        pass
    later = 2 * ACTIVE_S
    shares.charge(Owner("other"), COST_S, later)

    assert not shares.is_within(Owner("a"), COST_S, later)


@pytest.mark.long
def test_memory_stays_flat_over_a_million_owners():
    """The longest silent is forgotten first."""
    shares = Shares(0.5, kept=1000)
    for n in range(5000):
        shares.charge(Owner(f"warm{n}"), COST_S, n * 1e-3)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for n in range(1_000_000):
        shares.charge(Owner(f"ip:{n}"), COST_S, 10 + n * 1e-3)

    assert shares.owners <= 2001
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 4096


@pytest.mark.parametrize("weight", [0.1, 1.0, 10.0])
def test_an_image_that_costs_more_than_can_be_saved_is_within_a_full_account(weight):
    """Else it would be beyond any share for ever."""
    shares = Shares(0.1)
    shares.charge(Owner("other"), COST_S, 0.0)

    assert shares.charge(Owner("a", weight), 100.0, 0.0)


def test_owner_that_is_not_known_has_no_share():
    """It may be many clients: it is never beyond, and nothing is kept of it."""
    shares = Shares(0.5)
    shares.charge(Owner("known"), COST_S, 0.0)

    assert all(shares.charge(Owner(""), COST_S, 0.0) for _ in range(1000))
    assert 1 == shares.owners
