"""Who asks, and what they may do, where there are no keys."""

import asyncio

import pytest

from server.access.principal import Limits
from server.web.client import Origin
from server.web.errors import RequestError
from server.web.gate import Gate
from server.web.terms import Terms


def enter(gate, origin, count=1):
    """Send images of one client, all of them under way at once; who it was taken for."""

    async def run():
        return [await gate.enter("POST", "/v1/images", [], origin, 0.0) for _ in range(count)][-1].principal

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("origin", "urgency"),
    [(Origin("1.2.3.4"), 3), (Origin("1.2.3.4", trusted=True), 0), (Origin("", trusted=True), 0)],
)
def test_urgency_above_the_default_is_believed_from_trusted_proxies(origin, urgency):
    """Anybody can write the header; who stands before this server removes it or sets it."""
    assert urgency == Terms(None, 0).urgency_for(enter(Gate(None), origin))


def test_less_urgent_images_are_everybodys():
    """To wait longer takes nothing from anybody."""
    assert 7 == Terms(None, 7).urgency_for(enter(Gate(None), Origin("1.2.3.4")))


def test_limits_hold_for_the_client_behind_a_proxy():
    """One that is at its limit costs others behind the same proxy nothing."""
    gate = Gate(None, Limits(in_flight=2))
    enter(gate, Origin("1.2.3.4", trusted=True), 2)

    enter(gate, Origin("5.6.7.8", trusted=True), 2)
    with pytest.raises(RequestError, match="too_many_in_flight"):
        enter(gate, Origin("1.2.3.4", trusted=True))


def test_no_limit_holds_for_clients_that_a_proxy_does_not_name():
    """They may be many."""
    enter(Gate(None, Limits(rate=1.0, burst=1, in_flight=1)), Origin("", trusted=True), 100)
