"""Deleting an image while somebody writes it: whoever is last, nothing is left but the mark, and that goes in time."""

import anyio

from server.cleanup import deletion
from server.cleanup.catching_up import take_in
from server.cleanup.index import Index
from server.cleanup.item import encode_record, original_name, record_name
from server.cleanup.stores import FolderStore
from server.contract.ids import derived_uuid7
from tests.server.cleanup.samples import item


def write(store, made):
    """As a consumer does, up to its look for the mark."""
    store.put(original_name(made.record), made.original, "image/jpeg")
    store.put(record_name(made.record.id), encode_record(made.record), "application/json")


def test_what_is_written_after_a_deletion_is_undone(tmp_path):
    """And what nobody deleted is left alone."""
    store, made, other = FolderStore(tmp_path), item(), item(b"others")
    write(store, made)
    deletion.announce(store, made.record.id)
    deletion.delete(store, made.record)

    for one in (made, other):
        write(store, one)
    undone = [deletion.undo_if_deleted(store, one.record) for one in (made, other)]

    assert [True, False] == undone
    assert [b""] == [path.read_bytes() for path in tmp_path.rglob(f"{made.record.id}*")]
    assert other.original == store.get(original_name(other.record))


def test_marks_of_old_images_go(tmp_path):
    """While the index is brought up to date; those of young ones stay, and neither is a record."""
    store, index = FolderStore(tmp_path / "store"), Index(tmp_path)
    old, young = item(id=derived_uuid7(1_000_000_000_000, "")), item()
    for one in (old, young):
        deletion.announce(store, one.record.id)

    assert 0 == anyio.run(take_in, store, index)
    assert [young.record.id] == [path.stem for path in (tmp_path / "store").rglob("*.deleted")]
    index.close()
