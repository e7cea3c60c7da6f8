"""Images that are kept, with the real server, its clean-up process and a real disk."""

import asyncio
import hashlib
import json
import os
import random
import signal

import msgspec
import psutil
import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo

ROUNDS, BURST = 4, 40


def names(store):
    return sorted(path.name for path in store.glob("2*/*"))


async def until(true):
    """Wait until others have done what they do by themselves."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def settled(store, count):
    """Wait until the store has so many images, and the spool none."""
    await until(lambda: len(names(store)) >= 2 * count and not list((store / ".spool").glob("*.item")))


def kept(*flags, store):
    return serving("--store", str(store), "--records", "open", *flags)


def child(server, module):
    """Give the process of the server that runs a module; it waits for one that is just being replaced."""
    while not (found := [one for one in server.tree() if runs(one, module)]):
        assert server.process.poll() is None, f"the server has ended: {server.log}"
    return found[0]


def runs(process, module):
    try:
        return module in " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False


def test_an_image_is_kept_and_read_back(tmp_path):
    """Record and original, the same bytes; a second upload of them names the first."""

    async def work(server):
        client = await server.connect()
        first = (await client.post(photo(1))).json()
        await settled(tmp_path, 1)
        second = (await client.post(photo(1))).json()
        await settled(tmp_path, 2)
        record = await client.request("GET", f"/v1/images/{first['id']}")
        original = await client.request("GET", f"/v1/images/{first['id']}/original")
        same = await client.request("GET", f"/v1/images?hash={first['hash']}")
        return first, second, record.json(), original, same.json()

    with kept(store=tmp_path) as server:
        first, second, record, original, same = server.run(work(server))

    assert ("pending", "pending", first["id"]) == (first["stored"], second["stored"], second["duplicate_of"])
    assert "duplicate_of" not in first
    assert (first["id"], hashlib.sha256(photo(1)).hexdigest()) == (record["id"], record["sha256"])
    assert first["predictions"] == record["answer"]["predictions"]
    assert (photo(1), "image/jpeg") == (original.body, original.headers["content-type"])
    assert [first["id"], second["id"]] == same["ids"]


def test_a_deleted_image_leaves_no_byte(tmp_path):
    """Not in the store, the spool, the index or the cache: a canary is searched for."""
    canary = b"canary" + os.urandom(16)
    image = photo(2)
    image = image[:2] + b"\xff\xfe" + (len(canary) + 2).to_bytes(2, "big") + canary + image[2:]

    async def work(server):
        client = await server.connect()
        answer = (await client.post(image, cache_control="max-age=60")).json()
        await settled(tmp_path, 1)
        cached = (await client.post(image, cache_control="max-age=60")).json()
        await settled(tmp_path, 2)
        gone = [(await client.request("DELETE", f"/v1/images/{one['id']}")).status for one in (answer, cached)]
        later = (await client.post(image)).json()
        return cached, gone, later, await client.request("DELETE", f"/v1/images/{later['id']}")

    with kept(store=tmp_path) as server:
        cached, gone, later, last = server.run(work(server))

    assert (True, [204, 204], 204) == (cached["cached"], gone, last.status)
    assert "cached" not in later
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file() and canary in path.read_bytes()]
    assert [] == names(tmp_path)


def test_records_are_closed_unless_opened(tmp_path):
    """Whoever knows an id knows nothing else."""

    async def work(server):
        client = await server.connect()
        answer = (await client.post(photo(1))).json()
        await settled(tmp_path, 1)
        return [(await client.request(method, f"/v1/images/{answer['id']}")).status for method in ("GET", "DELETE")]

    with serving("--store", str(tmp_path)) as server:
        assert [405, 405] == server.run(work(server))  # an image may be put there, and no more
    assert 2 == len(names(tmp_path))


@pytest.mark.parametrize("id_", ["x", "..%2f..%2fetc", "01a2217d-cad8-7338-afc9-12f2b482a35a"])
def test_an_unknown_image_is_not_found(tmp_path, id_):
    """Nor is what is no id; while an id of just now may be on its way."""

    async def work(server):
        client = await server.connect()
        return (await client.request("GET", f"/v1/images/{id_}")).status

    with kept(store=tmp_path) as server:
        assert 404 == server.run(work(server))


def test_old_images_are_forgotten(tmp_path):
    """By clean-up, in time."""

    async def work(server):
        client = await server.connect()
        await client.post(photo(1))
        await settled(tmp_path, 1)
        await until(lambda: not names(tmp_path))

    with kept("--retention", "2s", store=tmp_path) as server:
        server.run(work(server))


def test_a_full_spool_is_told(tmp_path):
    """The answer goes out and says that it is not stored; where it must be, there is none."""

    async def work(server):
        child(server, "server.cleanup.process").suspend()
        client = await server.connect()
        replies = [await client.post(photo(number)) for number in range(3)]
        child(server, "server.cleanup.process").resume()
        return replies

    with kept("--spool-items", "2", store=tmp_path / "async") as server:
        replies = server.run(work(server))
        assert ["pending", "pending", False] == [reply.json()["stored"] for reply in replies]
    with kept("--spool-items", "2", "--store-policy", "required", store=tmp_path / "required") as server:
        replies = server.run(work(server))
        assert [True, True] == [reply.json()["stored"] for reply in replies[:2]]
        assert (503, "storage_unavailable") == (replies[2].status, replies[2].json()["code"])


@pytest.mark.long
def test_whatever_is_killed_what_was_called_stored_is_stored_once(tmp_path):
    """Web and clean-up are killed at random, again and again; after the last start all is there, to the byte."""
    random.seed(1)
    stored = {}

    async def burst(server, number):
        client = await server.connect()
        for count in range(BURST):
            image = photo(number * BURST + count)
            reply = await client.post(image)
            if reply.status == 200 and reply.json().get("stored") is True:
                stored[reply.json()["id"]] = image

    async def work(server):
        for number in range(ROUNDS):
            load = asyncio.create_task(burst(server, number))
            await asyncio.sleep(random.uniform(0.05, 0.6))
            victim = child(server, random.choice(["server.cleanup.process", "server.web.process"]))
            victim.send_signal(signal.SIGKILL)
            await asyncio.gather(load, return_exceptions=True)
            psutil.wait_procs([victim], timeout=5)
            await server.all_ready()
        await until(lambda: not list((tmp_path / ".spool").glob("*.item")))

    with kept("--store-policy", "required", store=tmp_path) as server:
        server.run(work(server))

    assert len(stored) > BURST
    assert lost(tmp_path, stored) == []
    victim = next(tmp_path.glob(f"2*/{next(iter(stored))}.jpg"))
    victim.unlink()
    assert lost(tmp_path, stored) == [next(iter(stored))], "the checker sees a planted loss"


def lost(store, stored):
    """The ids of images that are not there exactly once, byte-identical, with a record that fits."""
    found = {}
    for path in store.glob("2*/*.json"):
        record = msgspec.json.decode(path.read_bytes())
        original = path.with_suffix(".jpg")
        right = original.exists() and hashlib.sha256(original.read_bytes()).hexdigest() == record["sha256"]
        found.setdefault(path.stem, []).append(right)
    ids = [id_ for id_ in stored if found.get(id_) != [True]]
    return ids + [json.dumps(id_) for id_, rights in found.items() if len(rights) > 1]
