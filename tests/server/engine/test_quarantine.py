"""What has brought down workers stays out for a while, and no longer."""

import asyncio
from types import SimpleNamespace

import pytest

from server.contract.errors import ImageRejected, Quarantined
from server.engine.quarantine import Quarantine


def test_content_is_kept_out_for_ten_minutes():
    """Then it may be tried again: the cause may have been mended."""
    now = 0.0
    quarantine = Quarantine(None, lambda: now)
    quarantine.add("a")

    now = 599.0
    assert "a" in quarantine
    assert "b" not in quarantine
    now = 600.0
    assert "a" not in quarantine


def test_oldest_makes_room():
    """It holds a thousand at most, whatever comes."""
    quarantine = Quarantine(None, lambda: 0.0)
    for n in range(1001):
        quarantine.add(str(n))

    assert "0" not in quarantine
    assert "1" in quarantine
    assert "1000" in quarantine


class Refusing:
    """A stage that finds one fault with everything, and counts how often it is asked."""

    def __init__(self, code):
        self.code, self.asked = code, 0

    async def submit(self, submission):
        self.asked += 1
        raise ImageRejected(self.code)


@pytest.mark.parametrize(("code", "asked"), [("image_too_costly", 1), ("image_corrupt", 2)])
def test_content_that_cost_too_much_is_not_begun_again(code, asked):
    """It may have cost a worker; what is damaged costs nothing, and is told so each time."""
    following = Refusing(code)
    quarantine = Quarantine(following, lambda: 0.0)
    submission = SimpleNamespace(digest="a")

    async def run():
        raised = []
        for _ in range(2):
            try:
                await quarantine.submit(submission)
            except (ImageRejected, Quarantined) as error:
                raised.append(type(error))
        return raised

    raised = asyncio.run(run())

    assert raised == [ImageRejected, Quarantined if asked == 1 else ImageRejected]
    assert following.asked == asked
