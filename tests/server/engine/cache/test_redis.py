"""A cache in a real Redis server: alive, dead, hung, flushed, and full of what is not ours."""

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager

import pytest

from preprocess.header import read_header
from preprocess.limits import Limits
from server.contract.task import ImageTask
from server.engine import Engine
from server.engine.cache.entry import Entry, Key
from server.engine.cache.record import Garbage, Mismatch, dumps, loads, name_of
from server.engine.cache.redis import RedisStore
from server.engine.cache.shared import StoreFailed
from server.settings import Settings, WorkerSettings
from server.settings.topics import CacheSettings
from tests.models import dense
from tests.photos import photo
from tests.redis_server import Server

TIMEOUT_S = 0.05


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.client.close()
    made.kill()


KEY = Key("m", "1", "d", "r", "c", ("answer",), "")
ENTRY = Entry(b"s" * 32, b'"score":1.0')


# ---- Entries as bytes ----


def test_an_entry_is_read_as_it_was_written():
    """Under its own key, and under no other."""
    data = dumps(KEY, ENTRY)

    assert ENTRY == loads(data, KEY)
    with pytest.raises(Mismatch):
        loads(data, KEY._replace(version="2"))
    assert name_of(KEY) != name_of(KEY._replace(owner="o"))


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_damaged_entry_is_garbage(at):
    """One bit is enough."""
    data = bytearray(dumps(KEY, ENTRY))
    data[at] ^= 1

    with pytest.raises(Garbage):
        loads(bytes(data), KEY)


def test_what_is_no_answer_is_garbage():
    """Its members would go to a client as they are."""
    for data in (b"", b"x" * 100, dumps(KEY, Entry(b"s", b'"score":"high"')), dumps(KEY, Entry(b"s", b"}"))):
        with pytest.raises(Garbage):
            loads(data, KEY)


# ---- The store ----


def on_a_store(server, work):
    async def run():
        async with RedisStore(server.url, TIMEOUT_S, 60.0) as store:
            return await work(store)

    return asyncio.run(run())


async def reason_of(call):
    begun = time.monotonic()
    try:
        await call
    except StoreFailed as error:
        return error.reason, time.monotonic() - begun
    return "", 0.0


def test_what_is_kept_is_given_back_and_ends(server):
    """With a time to live, so that nobody has to clean up."""

    async def work(store):
        await store.put("a", b"1")
        return await store.get("a"), await store.get("b")

    assert (b"1", None) == on_a_store(server, work)
    assert 0 < server.client.pttl("a") <= 60_000


def test_a_hung_server_costs_its_time_out_and_then_nothing(server):
    """The client retries nothing, and after five failures it is not asked."""
    server.signal(signal.SIGSTOP)

    async def work(store):
        return [await reason_of(store.get("a")) for _ in range(7)]

    found = on_a_store(server, work)
    server.signal(signal.SIGCONT)

    assert 5 * ["timeout"] + 2 * ["open"] == [reason for reason, _ in found]
    assert all(seconds < 10 * TIMEOUT_S for _, seconds in found)


def test_a_server_that_was_hung_never_answers_the_wrong_question(server):
    """What it says late is not taken for the answer to the next question."""
    server.client.mset({"a": b"A", "b": b"B"})

    async def work(store):
        await store.get("a")
        server.signal(signal.SIGSTOP)
        await reason_of(store.get("a"))
        server.signal(signal.SIGCONT)
        return [await store.get("b") for _ in range(10)]

    assert 10 * [b"B"] == on_a_store(server, work)


def test_a_dead_server_is_unreachable(server):
    """And that is all."""
    server.kill()

    assert "unreachable" == on_a_store(server, lambda store: reason_of(store.get("a")))[0]


# ---- Engines that share it ----


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return dense(tmp_path_factory.mktemp("redis") / "m.onnx")


@asynccontextmanager
async def engine(model, server):
    made = Settings(
        model=model,
        slo=50.0,
        worker=WorkerSettings(workers=1, threads=1),
        cache=CacheSettings(cache=server.url, cache_timeout=1.0),
    )
    async with Engine(made) as one:
        yield one


def image(number):
    body = photo(number)
    return ImageTask(body, read_header(body, Limits()))


async def kept(server, count):
    """Wait until Redis has so many answers: nobody waits for it to be told."""
    while len(server.client.keys("tureen:*")) < count:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


async def source_of_a_wait(one, task):
    """Where a reply comes from while the only worker is busy with others, so that the cache has time to be asked."""
    others = [asyncio.create_task(one.submit(image(number), None, 0)) for number in range(1000, 1060)]
    reply = (await one.submit(task, None, 7)).reply
    await asyncio.gather(*others)
    return reply


def test_a_replica_answers_what_another_has_answered(model, server):
    """The image leaves the queue, and the answer says that it was kept."""

    async def run():
        async with engine(model, server) as first:
            answered = (await first.submit(image(1))).reply
            await kept(server, 1)
        async with engine(model, server) as second:
            found = await source_of_a_wait(second, image(1))
            return answered, found, second.status().reuse

    answered, found, reuse = asyncio.run(run())

    assert ("inference", "cache", answered.members) == (answered.source, found.source, found.members)
    assert 1 == reuse.lookups["hit"]


@pytest.mark.parametrize("trouble", ["killed", "hung", "flushed", "garbage", "another tenant's"])
def test_answers_go_on_and_are_right(model, server, trouble):
    """Whatever becomes of the cache, an image gets its own answer, or an inference."""

    async def run():
        async with engine(model, server) as one:
            right = {number: (await one.submit(image(number))).reply.members for number in range(8)}
            await kept(server, 8)
            names = server.client.keys("tureen:*")
            match trouble:
                case "killed":
                    server.kill()
                case "hung":
                    server.signal(signal.SIGSTOP)
                case "flushed":
                    server.client.flushall()
                case "garbage":
                    server.client.mset({name: os.urandom(200) for name in names})
                case _:
                    values = server.client.mget(names)
                    server.client.mset(dict(zip(names, values[1:] + values[:1], strict=True)))
            replies = {number: await source_of_a_wait(one, image(number)) for number in range(8)}
            return right, replies, one.status().reuse.cache_errors

    right, replies, errors = asyncio.run(run())
    if trouble == "hung":
        server.signal(signal.SIGCONT)

    assert right == {number: reply.members for number, reply in replies.items()}
    assert {"inference"} == {reply.source for reply in replies.values()}
    expected = {"garbage": "garbage", "another tenant's": "mismatch", "killed": "unreachable"}
    assert expected.get(trouble, "") in ("", *errors)
