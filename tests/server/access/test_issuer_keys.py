"""When the keys of an issuer are fetched: in virtual time, with an issuer that the test leads."""

import asyncio

import pytest

from server.access.errors import FetchFailed, Unauthenticated
from server.access.issuer_keys import IssuerKeys

URL = "https://issuer.example/jwks"


class Over(Exception):
    """The time of a test is."""


class World:
    """Its state: the time, the keys that the issuer has, whether it answers, and when it was asked."""

    def __init__(self):
        self.now = 0.0
        self.published = ["old"]
        self.down = lambda now: False
        self.asked = []
        self.until = 0.0
        self.keys = IssuerKeys(
            "https://issuer.example", URL, lambda document: dict.fromkeys(document["keys"], "key"), lambda: self.now,
            self.fetch, self.sleep,
        )  # fmt: skip

    def fetch(self, url):
        self.asked.append(self.now)
        if self.down(self.now):
            raise FetchFailed("it is down")
        return {"keys": list(self.published)}

    async def sleep(self, seconds):
        self.now += seconds
        if self.now >= self.until:
            raise Over

    def run(self, seconds):
        """Let it keep its keys fresh for so long."""
        self.until = self.now + seconds
        with pytest.raises(Over):
            asyncio.run(self.keys.run())

    def find(self, kid):
        return asyncio.run(self.keys.find(kid))


def test_an_issuer_that_is_down_for_ten_minutes_is_asked_seldom_and_its_keys_stay_in_force():
    """With a pause that doubles up to a minute; within a minute of its return its new keys are in force."""
    world = World()
    world.run(1)
    outage = (1.0, 3600.0)
    world.down = lambda now: outage[0] < now < outage[1]
    world.run(3600)
    while_down = [at for at in world.asked if outage[0] < at < outage[1]]

    assert "key" == world.find("old")
    assert 50 <= len(while_down) <= 120  # of an hour; without a pause it would be thousands

    world.published = ["new"]
    world.run(70)

    assert "key" == world.find("new")
    with pytest.raises(Unauthenticated, match="unknown_kid"):
        world.find("old")


def test_keys_are_renewed_every_ten_minutes():
    """A little sooner or later, so that replicas do not come together."""
    world = World()
    world.run(3600)

    assert all(540 <= later - sooner <= 660 for sooner, later in zip(world.asked, world.asked[1:], strict=False))


def test_a_key_that_signs_before_it_was_announced_is_fetched_at_once():
    """Also right after a renewal."""
    world = World()
    world.run(1)
    world.published.append("new")

    assert "key" == world.find("new")


def test_an_unknown_key_id_that_was_asked_for_in_vain_is_asked_for_again_after_ten_seconds():
    """However many tokens claim one."""
    world = World()
    world.run(1)
    before = len(world.asked)
    for number in range(100):
        world.now += 0.05
        with pytest.raises(Unauthenticated, match="unknown_kid"):
            world.find(f"junk{number}")
    asked = len(world.asked) - before
    world.now += 10.0
    world.published.append("new")

    assert 1 == asked
    assert "key" == world.find("new")
