"""Tasks answered from what was answered before, with real submissions and a stage that counts."""

import asyncio

import pytest

from preprocess.header import Header
from server.contract.answer import Reply
from server.contract.metadata import ModelMetadata
from server.contract.owner import Owner
from server.contract.task import ImageTask, TensorTask
from server.engine.cache.memory import MemoryCache
from server.engine.cache.remembering import Remembering
from server.engine.submission import Submission
from tests.fakes import virtual_time

MODEL = ModelMetadata(name="m", version="1", digest="d", provider="p")


def zero():
    return 0.0


class Model:
    """The stage behind: it answers everything, and counts."""

    def __init__(self):
        self.serves = MODEL
        self.asked = 0

    async def submit(self, submission):
        self.asked += 1
        return Reply(self.serves, b"%d" % self.asked, 0.0, 0.1, 0.2, 3)


class Bench:
    def __init__(self, max_bytes=1_000_000):
        self.model = Model()
        self.cache = MemoryCache(max_bytes, 60.0, zero)
        self.stage = Remembering(self.model, self.cache, lambda: self.model.serves, clock=zero)

    async def ask(self, data=b"abc", reuse="allowed", owner=""):
        return await self.stage.submit(submission(data, reuse, owner))


def submission(data=b"abc", reuse="allowed", owner="", digest=""):
    return Submission(TensorTask(data, "UINT8", (len(data),)), 1.0, 3, reuse, Owner(account=owner), digest)


@virtual_time
async def test_the_second_upload_is_answered_from_memory():
    """It is the same answer, it says so, and no image ran for it."""
    bench = Bench()
    first, second = await bench.ask(), await bench.ask()

    assert ("inference", "cache") == (first.source, second.source)
    assert (first.members, 0.0, 0.0, 0) == (second.members, second.decode_s, second.infer_s, second.batch)
    assert {"miss": 1, "hit": 1} == bench.stage.stats().lookups


@virtual_time
async def test_an_upload_of_another_size_is_not_hashed():
    """Most uploads are told apart by their size alone, and a refusal stays cheap."""

    class Refusing(Model):
        async def submit(self, submission):
            raise RuntimeError

    bench = Bench()
    await bench.ask(b"abc")
    refusing = Remembering(Refusing(), bench.cache, lambda: MODEL, clock=zero)
    other = submission(b"abcd")
    with pytest.raises(RuntimeError):
        await refusing.submit(other)

    assert (False, False) == other.hashed


@virtual_time
async def test_a_collision_never_gives_the_answer_to_another_image():
    """XXH3-128 can be made to collide: SHA-256 decides."""
    bench = Bench()
    first, second = (submission(data, digest="the same") for data in (b"aaa", b"bbb"))
    answers = [await bench.stage.submit(one) for one in (first, second)]

    assert [b"1", b"2"] == [answer.members for answer in answers]
    assert {"mismatch": 1} == bench.stage.stats().cache_errors


@pytest.mark.parametrize("reuse", ["never", "refresh"])
def test_an_old_answer_is_not_given_to_who_wants_a_new_one(reuse):
    """Whatever is kept."""

    @virtual_time
    async def run():
        bench = Bench()
        await bench.ask()
        assert "inference" == (await bench.ask(reuse=reuse)).source

    run()


@virtual_time
async def test_what_must_not_be_stored_is_not():
    """The next one is asked anew; while a refreshed answer is kept in place of the old one."""
    bench = Bench()
    await bench.ask(reuse="never")
    assert "inference" == (await bench.ask()).source
    await bench.ask(reuse="refresh")

    assert b"3" == (await bench.ask()).members


@virtual_time
async def test_another_version_answers_anew():
    """What its predecessor said is never seen again."""
    bench = Bench()
    await bench.ask()
    bench.model.serves = ModelMetadata(name="m", version="2", digest="e", provider="p")

    assert "inference" == (await bench.ask()).source


@virtual_time
async def test_owners_share_nothing():
    """Nor can one learn that another has sent the same."""
    bench = Bench()
    await bench.ask(owner="a")

    assert "inference" == (await bench.ask(owner="b")).source


@virtual_time
async def test_off_keeps_nothing():
    """And hashes nothing for it."""
    bench = Bench(max_bytes=0)
    one = submission()
    await bench.stage.submit(one)
    await bench.ask()

    assert (2, False) == (bench.model.asked, one.hashed[1])


def test_large_uploads_are_kept_too():
    """They are hashed beside the event loop."""

    async def run():
        bench = Bench()
        data = bytes(1_000_000)
        await bench.ask(data)
        while not bench.stage.any:  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0)
        return await bench.ask(data)

    assert "cache" == asyncio.run(run()).source


@virtual_time
async def test_front_ends_may_ask_first():
    """By the size alone, or by the bytes: an image of the same size is not the same image."""
    bench = Bench()
    image = ImageTask(b"abc", Header("jpeg", 1, 1))
    await bench.stage.submit(Submission(image, 1.0, 3))

    asked = [(3, None), (3, b"abc"), (3, b"abd"), (4, None)]
    assert [True, True, False, False] == [bench.stage.remembers(*one) for one in asked]


@virtual_time
async def test_a_front_end_asks_for_its_client():
    """What is kept for one account is not there for another, nor for nobody."""
    bench = Bench()
    image = ImageTask(b"abc", Header("jpeg", 1, 1))
    await bench.stage.submit(Submission(image, 1.0, 3, owner=Owner("a", 1.0, "a")))

    assert [True, False, False] == [bench.stage.remembers(3, b"abc", account) for account in ("a", "b", "")]
