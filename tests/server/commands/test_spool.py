"""`tureen spool` on a real folder, beside a real clean-up process and without one."""

import io
import json
import subprocess
import sys

import pytest

from server.cleanup.carrier import BAD
from server.cleanup.item import dumps
from server.commands.spool.command import run
from server.contract.ids import derived_uuid7
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.server.cleanup.samples import item


@pytest.fixture
def spool(tmp_path):
    """Two items that wait, one that is damaged, and one set aside that is whole."""
    (tmp_path / BAD).mkdir()
    items = [item(b"%d" % number, id=derived_uuid7(1_700_000_000_000 + number, "")) for number in range(4)]
    for one in items[:2]:
        (tmp_path / f"{one.record.id}.item").write_bytes(dumps(one))
    (tmp_path / BAD / f"{items[2].record.id}.item").write_bytes(dumps(items[2])[:-1])
    (tmp_path / BAD / f"{items[3].record.id}.item").write_bytes(dumps(items[3]))
    return tmp_path, [one.record.id for one in items]


def tureen_spool(act, folder, *words):
    return run([act, "--spool-dir", str(folder), *words])


def listed(capsys, folder):
    assert 0 == tureen_spool("list", folder, "--json")
    return {one["id"]: one["condition"] for one in json.loads(capsys.readouterr().out)["items"]}


def test_what_waits_and_what_is_damaged_is_listed(spool, capsys):
    """With the reason why nothing moves."""
    folder, ids = spool
    assert 0 == tureen_spool("list", folder, "--most", "1")
    out = capsys.readouterr().out

    assert "2 waiting, 2 damaged" in out
    assert "no clean-up process runs" in out
    assert "and 3 more" in out
    assert dict(zip(ids, ["waiting", "waiting", "damaged", "damaged"], strict=True)) == listed(capsys, folder)


def test_retry_takes_back_what_is_whole(spool, capsys):
    """And says that not all are."""
    folder, ids = spool
    assert 1 == tureen_spool("retry", folder)
    assert "1 of 2 damaged items" in capsys.readouterr().out

    assert ["waiting", "waiting", "damaged", "waiting"] == [listed(capsys, folder)[id_] for id_ in ids]


def test_export_copies_what_can_be_read(spool, tmp_path, capsys):
    """To the byte, and removes nothing."""
    folder, ids = spool
    target = tmp_path / "out"
    assert 1 == tureen_spool("export", folder, str(target))
    copied = {path.stem: path.read_bytes() for path in target.glob("*/*") if path.suffix != ".json"}
    assert {ids[number]: b"%d" % number for number in (0, 1, 3)} == copied
    assert 3 == len([*target.glob("*/*.json")])


def test_drop_asks(spool, capsys, monkeypatch):
    """Whoever does not say yes drops nothing."""
    folder, ids = spool
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert 1 == tureen_spool("drop", folder, ids[0])
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert 0 == tureen_spool("drop", folder, ids[0])
    assert 0 == tureen_spool("drop", folder, "--damaged", "--yes")
    capsys.readouterr()

    assert [ids[1]] == list(listed(capsys, folder))
    assert 2 == tureen_spool("drop", folder)


def test_beside_a_server_a_retry_ends_the_pause(tmp_path):
    """The store was away, and the next try would be long in coming."""
    store = tmp_path / "store"

    async def work(server):
        client = await server.connect()
        store.rename(tmp_path / "away")
        store.touch()  # a file where the folder should be: nothing can be stored
        await client.post(photo(1))
        while "disk" not in told():
            pass
        store.unlink()
        (tmp_path / "away").rename(store)
        assert "store is tried again now" in told("retry")
        while not [*store.glob("2*/*.json")]:
            pass

    def told(act="list"):
        words = [sys.executable, "-m", "server", "spool", act, "--spool-dir", str(tmp_path / "spool")]
        return subprocess.run(words, capture_output=True, text=True).stdout

    store.mkdir()
    with serving("--store", str(store), "--spool-dir", str(tmp_path / "spool"), "--workers", "1") as server:
        server.run(work(server))
