"""What is not an image waits for its turn, once it takes more than its share."""

import asyncio

import pytest

from server.web.side_share import SideShare


class Clock:
    """Time that passes by sleeping and by working."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


async def answered(share, clock, count, cost_s):
    for _ in range(count):
        async with share.turn():
            clock.now += cost_s


@pytest.mark.parametrize(("cost_s", "count"), [(0.0, 199), (0.0045, 19)])
def test_a_few_at_a_time_do_not_wait(cost_s, count):
    """100 ms of a core may be spent at once."""
    clock = Clock()

    asyncio.run(answered(SideShare(lambda: clock.now, clock.sleep), clock, count, cost_s))

    assert [] == clock.slept


@pytest.mark.parametrize("cost_s", [0.0, 0.0045, 0.06])
def test_a_flood_gets_a_tenth_of_a_core(cost_s):
    """However much each request costs."""
    clock = Clock()

    asyncio.run(answered(SideShare(lambda: clock.now, clock.sleep), clock, 2000, cost_s))

    spent_s, took_s = 2000 * (cost_s + 0.0005), clock.now - 100.0
    assert spent_s / took_s == pytest.approx(0.1, rel=0.12)


def test_after_a_quiet_second_a_few_do_not_wait_again():
    """What was spent is earned back."""
    clock = Clock()
    share = SideShare(lambda: clock.now, clock.sleep)
    asyncio.run(answered(share, clock, 400, 0.0))
    clock.now += 1.0
    clock.slept.clear()

    asyncio.run(answered(share, clock, 199, 0.0))

    assert [] == clock.slept
