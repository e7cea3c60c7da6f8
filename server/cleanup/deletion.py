"""Deleting an image from the store, although a consumer may be at work on it: elsewhere, with its bytes in hand.

CORRECTNESS: whoever deletes puts a mark there first, and then deletes. A consumer writes, then looks for the mark, and
deletes what it wrote if the mark is there. Whichever of the two is last, nothing is left. All functions block and raise
`StoreError`.
"""

from typing import Final

from server.cleanup.item import MARK, Record, mark_name, original_name, outcomes_name, record_name
from server.cleanup.stores import Store

KEPT_S: Final = 15 * 86_400.0
"""How old an image is when its mark goes, in seconds: no message of SQS is as old."""


def announce(store: Store, id_: str) -> None:
    """Put the mark there: an empty object."""
    store.put(mark_name(id_), b"", "application/octet-stream")


def delete(store: Store, record: Record) -> None:
    """Delete all of it. The record last: while it is there, a second try finds the original."""
    store.delete(original_name(record))
    store.delete(outcomes_name(record.id))
    store.delete(record_name(record.id))


def undo_if_deleted(store: Store, written: Record) -> bool:
    """Delete what was just written of an image that somebody has deleted meanwhile; whether it was so."""
    if store.get(mark_name(written.id)) is None:
        return False
    delete(store, written)
    return True


def forget_mark(store: Store, name: str, oldest: str) -> bool:
    """Delete this object if it is the mark of an image whose id is below `oldest`; whether it is a mark."""
    if not name.endswith(MARK):
        return False
    if name.rpartition("/")[2].removesuffix(MARK) < oldest:
        store.delete(name)
    return True
