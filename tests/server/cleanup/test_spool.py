"""The web process's end of the spool, on a real disk."""

import asyncio
import os

import pytest

from server.cleanup.item import loads
from server.cleanup.spool import SUFFIX, Spool, SpoolFailed, SpoolRefused, items_in
from tests.server.cleanup.samples import item, put


def run(work, folder, max_bytes=1_000_000, max_count=100, durable=False):
    """Run `work(spool)` with a spool in `folder`."""

    async def run():
        async with Spool(folder, max_bytes, max_count, durable=durable).running() as spool:
            return await work(spool)

    return asyncio.run(run())


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_put_in_is_a_whole_file(tmp_path, durable):
    """Under its id, and nothing else is left there."""
    made = item()

    async def work(spool):
        await put(spool, made)
        return spool.count, spool.holds(made.record.id)

    assert (1, True) == run(work, tmp_path, durable=durable)
    assert made == loads((tmp_path / f"{made.record.id}{SUFFIX}").read_bytes())
    assert [] == [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_leaving_writes_what_still_waits(tmp_path):
    """A server that ends takes nothing with it."""

    async def work(spool):
        for _ in range(20):
            put(spool, item())

    run(work, tmp_path)

    assert 20 == len([*items_in(tmp_path)])


def test_a_full_spool_refuses_and_counts(tmp_path):
    """In number as in bytes, at once, and is as full as it may be."""

    async def work(spool):
        for _ in range(3):
            put(spool, item())
        with pytest.raises(SpoolRefused, match="full"):
            put(spool, item())
        return dict(spool.refused)

    assert {"full": 1} == run(work, tmp_path / "count", max_count=3)
    assert {"full": 1} == run(work, tmp_path / "bytes", max_bytes=20)
    assert 3 == len([*items_in(tmp_path / "count")])


def test_the_folder_is_the_truth_at_a_start(tmp_path):
    """What was left there counts."""

    async def fill(spool):
        await put(spool, item())

    async def count(spool):
        return spool.count

    run(fill, tmp_path)

    assert 1 == run(count, tmp_path)


def test_room_that_clean_up_makes_is_seen(tmp_path):
    """It rings, or the folder is looked into."""

    async def work(spool):
        made = item()
        await put(spool, made)
        (tmp_path / f"{made.record.id}{SUFFIX}").unlink()
        while spool.count:  # noqa: ASYNC110 - it looks by itself
            await asyncio.sleep(0.01)
        await put(spool, item())

    run(work, tmp_path, max_count=1)


def test_a_disk_that_refuses_is_told_and_counted(tmp_path):
    """Whoever waits is told; the next one may be written again."""

    async def work(spool):
        folder = spool.folder
        away = folder.with_name("away")
        folder.rename(away)
        with pytest.raises(SpoolRefused, match="disk"):
            await put(spool, item())
        refused = dict(spool.refused)
        away.rename(folder)
        await put(spool, item())
        return refused, spool.count

    assert ({"disk": 1}, 1) == run(work, tmp_path / "spool", durable=True)


def test_a_folder_that_cannot_be_is_told_at_the_start(tmp_path):
    """Its name and why."""
    (tmp_path / "file").touch()

    async def work(spool):
        raise AssertionError

    with pytest.raises(SpoolFailed, match="file"):
        run(work, tmp_path / "file" / "spool")
