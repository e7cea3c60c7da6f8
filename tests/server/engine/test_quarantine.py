"""What has brought down workers stays out for a while, and no longer; what was only beside it does not."""

import asyncio

import pytest

from batcher import DeadlineExceeded, RetriesExhausted
from preprocess.header import Header
from server.contract.errors import ImageRejected, Quarantined
from server.contract.ids import content_hash
from server.contract.task import ImageTask
from server.engine.quarantine import Quarantine
from server.engine.submission import Submission

HEADER = Header("png", 1, 1)


def task(body):
    return ImageTask(body, HEADER)


class Scripted:
    """The stage behind it: raises what `errors` has next, and keeps what each submission was said to have lost."""

    def __init__(self, *errors):
        self._errors = list(errors)
        self.losses = []

    async def submit(self, submission):
        self.losses.append(submission.losses)
        if self._errors and (error := self._errors.pop(0)):
            raise error
        return "reply"


def submitted(quarantine, body):
    """What comes of that content: a reply, or the error's type."""
    try:
        return asyncio.run(quarantine.submit(Submission(task(body), 1.0, 3)))
    except Exception as error:
        return type(error)


def test_content_is_kept_out_for_ten_minutes():
    """Then it may be tried again: the cause may have been mended."""
    now = 0.0
    quarantine = Quarantine(Scripted(RetriesExhausted("twice")), lambda: now)
    assert RetriesExhausted is submitted(quarantine, b"a")

    now = 599.0
    assert Quarantined is submitted(quarantine, b"a")
    assert "reply" == submitted(quarantine, b"b")
    now = 600.0
    assert "reply" == submitted(quarantine, b"a")


def test_oldest_makes_room():
    """It holds a thousand at most, whatever comes."""
    quarantine = Quarantine(Scripted(), lambda: 0.0)
    for n in range(1001):
        quarantine.lost([task(b"%d" % n)])

    assert [0, 1, 1] == [quarantine.losses(content_hash(b"%d" % n)) for n in (0, 1, 1000)]


def test_content_that_hangs_its_worker_is_kept_out_after_the_second_though_each_client_was_told_504():
    """Its deadline passes long before the worker is killed: it is then a suspect, runs alone, and is found."""
    following = Scripted(DeadlineExceeded("running"), DeadlineExceeded("running"))
    quarantine = Quarantine(following)

    assert DeadlineExceeded is submitted(quarantine, b"poison")
    quarantine.lost([task(b"poison"), task(b"neighbour")])
    assert DeadlineExceeded is submitted(quarantine, b"poison")
    quarantine.lost([task(b"poison")])

    assert Quarantined is submitted(quarantine, b"poison")
    assert [0, 1] == following.losses


def test_a_neighbour_is_cleared_by_its_answer():
    """It runs alone once, and then in company again."""
    following = Scripted()
    quarantine = Quarantine(following)
    quarantine.lost([task(b"poison"), task(b"neighbour")])

    assert ["reply", "reply"] == [submitted(quarantine, b"neighbour") for _ in range(2)]
    assert [1, 0] == following.losses


def test_a_neighbour_that_is_no_image_is_cleared_too():
    """Its worker has looked at it and lives."""
    quarantine = Quarantine(Scripted(ImageRejected("image_corrupt")))
    quarantine.lost([task(b"damaged"), task(b"poison")])

    assert ImageRejected is submitted(quarantine, b"damaged")
    assert 0 == quarantine.losses(content_hash(b"damaged"))


@pytest.mark.parametrize("times", [2, 5])
def test_nothing_is_kept_out_for_what_happened_in_company(times):
    """However often: any of the others may have been the cause."""
    quarantine = Quarantine(Scripted())
    for n in range(times):
        quarantine.lost([task(b"popular"), task(b"%d" % n)])

    assert 1 == quarantine.losses(content_hash(b"popular"))


@pytest.mark.parametrize(("code", "again"), [("image_too_costly", Quarantined), ("image_corrupt", ImageRejected)])
def test_content_that_cost_too_much_is_not_begun_again(code, again):
    """It may have cost a worker; what is damaged costs nothing, and is told so each time."""
    quarantine = Quarantine(Scripted(*(ImageRejected(code) for _ in range(2))))

    assert [ImageRejected, again] == [submitted(quarantine, b"a") for _ in range(2)]
