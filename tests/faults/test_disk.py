"""Real disks that are full or read-only, and a clock that is set: nothing is lost that was called stored."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.harness import serving
from tests.end_to_end.test_storage import child
from tests.namespaces import fill, on_small_disks, seen_by, without_override
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

REQUIRED = ("--store-policy", "required", "--records", "open", "--workers", "1")
CLEANUP = "server.cleanup.process"
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), Path("libfaketime.so.1"))


async def until_metric(server, name, least=1):
    """Wait until it has come so far."""
    while (await server.metrics()).get(name, 0) < least:
        pass


async def until_spool_is_empty(server):
    while (await server.metrics())["tureen_spool_images"]:
        pass


def outcome(reply):
    """Status, and what it says of the store."""
    document = reply.json()
    return reply.status, document.get("stored", document.get("code"))


def logged(server, event):
    return [json.loads(line) for line in server.final_log.splitlines() if f'"event": "{event}"' in line]


def originals(store):
    return sorted(path.read_bytes() for path in store.glob("2*/*.jpg"))


def test_full_disks(tmp_path):
    """A full store delays nobody; a full spool refuses what must be stored. What waits there makes the room."""
    store, spool = tmp_path / "store", tmp_path / "spool"
    store.mkdir()
    spool.mkdir()

    async def work(server):
        client, replies = await server.connect(), {}
        seen_store, seen_spool = (seen_by(server.process, one) for one in (store, spool))
        filler = fill(seen_store)
        replies["store full"] = outcome(await client.post(photo(1)))
        await until_metric(server, 'tureen_store_errors_total{reason="disk"}')
        filler.unlink()
        await until_metric(server, "tureen_stored_images_total")
        child(server, CLEANUP).suspend()
        replies["waits"] = outcome(await client.post(photo(2)))
        filler = fill(seen_spool)
        replies["spool full"] = outcome(await client.post(photo(3)))
        await until_metric(server, 'tureen_spool_refused_total{reason="disk"}')
        child(server, CLEANUP).resume()
        await until_spool_is_empty(server)
        filler.unlink()
        replies["room again"] = outcome(await client.post(photo(4)))
        await until_metric(server, "tureen_stored_images_total", 3)
        await until_spool_is_empty(server)
        return replies, originals(seen_store), [*seen_spool.glob("*.tmp")]

    flags = ("--store", str(store), "--spool-dir", str(spool), *REQUIRED)
    with serving(*flags, within=on_small_disks((store, spool), "2m")) as server:
        replies, stored, rest = server.run(work(server))

    assert {
        "store full": (200, True), "waits": (200, True), "spool full": (503, "storage_unavailable"),
        "room again": (200, True),
    } == replies  # fmt: skip
    assert sorted(map(photo, (1, 2, 4))) == stored
    assert [] == rest
    assert "disk" == logged(server, "store_failing")[0]["reason"]
    assert 1 == len(logged(server, "spool_failing"))
    assert [] == logged(server, "cannot_clean_up")


def test_a_spool_that_becomes_read_only(tmp_path):
    """What must be stored is refused, and what is there goes to the store, once; then it is taken out."""
    store, spool = tmp_path / "store", tmp_path / "spool"

    async def work(server):
        client = await server.connect()
        child(server, CLEANUP).suspend()
        first = outcome(await client.post(photo(1)))
        spool.chmod(0o500)
        child(server, CLEANUP).resume()
        refused = outcome(await client.post(photo(2)))
        while '"store_failing"' not in server.log:  # its figures are in the spool, too
            pass
        spool.chmod(0o700)
        await until_metric(server, "tureen_stored_images_total")
        await until_spool_is_empty(server)
        return first, refused, outcome(await client.post(photo(3)))

    flags = ("--store", str(store), "--spool-dir", str(spool), *REQUIRED)
    with serving(*flags, within=without_override()) as server:
        first, refused, last = server.run(work(server))

    assert ((200, True), (503, "storage_unavailable"), (200, True)) == (first, refused, last)
    assert photo(1) in originals(store)
    assert "Permission denied" in logged(server, "store_failing")[0]["error"]
    assert 1 == len(logged(server, "spool_failing"))


@pytest.mark.long
def test_a_clock_that_is_set_while_images_come(tmp_path):
    """Two hours back, then a day on: all are stored and found, the step is told, and a duplicate still is one."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environ = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
        "NO_FAKE_STAT": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip

    async def work(server):
        client, answers = await server.connect(), []
        for number, offset in enumerate(("+0", "-7200", "+86400")):
            clock.write_text(offset)
            await until_metric(server, "tureen_clock_steps_total", number)
            for image in (number, 0):
                answers.append((await client.post(photo(image))).json())
            await until_spool_is_empty(server)
        found = [await client.request("GET", f"/v1/images/{one['id']}") for one in answers]
        return answers, [reply.status for reply in found]

    with serving("--store", str(tmp_path / "store"), *REQUIRED, environ=environ) as server:
        answers, found = server.run(work(server))

    assert [True] * 6 == [answer["stored"] for answer in answers]
    assert [200] * 6 == found
    assert {answers[0]["id"]} == {answer["duplicate_of"] for answer in (answers[1], answers[3], answers[5])}
    assert [-7200, 93600] == [round(line["by_s"]) for line in logged(server, "clock_set")]
