"""The index takes in what others have put into the store."""

import pytest

from server.cleanup.catching_up import take_in
from server.cleanup.index import Index
from server.cleanup.item import encode_record, record_name
from server.cleanup.stores import FolderStore
from server.contract.ids import derived_uuid7
from tests.server.cleanup.samples import item


def put(store, number):
    made = item(b"same", id=derived_uuid7(1_700_000_000_000 + number, ""))
    store.put(record_name(made.record.id), encode_record(made.record), "application/json")
    return made.record


@pytest.mark.anyio
async def test_what_others_have_stored_is_taken_in_once(tmp_path):
    """A damaged record keeps nothing else out."""
    store, index = FolderStore(tmp_path / "store"), Index(tmp_path)
    first = [put(store, number) for number in range(450)]
    store.put("2026-11-28/damaged.json", b"{", "application/json")
    taken = [await take_in(store, index)]
    later = put(store, 500)
    taken += [await take_in(store, index), await take_in(store, index)]

    assert [450, 1, 0] == taken
    ids = index.same(first[0].hash, "", 1000)
    assert (451, first[0].id, later.id) == (len(ids), ids[0], ids[-1])
    index.close()
