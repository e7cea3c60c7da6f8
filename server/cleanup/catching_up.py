"""Keeps the index in step with a store that others write to: consumers, and servers on other machines."""

import sqlite3
from collections.abc import Iterator
from itertools import islice

import anyio
import structlog

from server.cleanup import deletion
from server.cleanup.carrier import cutoff_id
from server.cleanup.index import Index
from server.cleanup.item import Damaged, Record, decode_record
from server.cleanup.stores import Store, StoreError

_AT_A_TIME = 200
_PERIOD_S = 3600.0  # listing costs a request per thousand objects

log = structlog.stdlib.get_logger("tureen.cleanup")


async def catch_up(store: Store, index: Index) -> None:
    """Take in what the index does not know, now and once an hour, until cancelled."""
    while True:
        try:
            if taken := await take_in(store, index):
                log.info("index_caught_up", new=taken, images=len(index))
        except (StoreError, sqlite3.Error) as error:
            log.error("index_not_caught_up", reason=str(error))
        await anyio.sleep(_PERIOD_S)


async def take_in(store: Store, index: Index) -> int:
    """Take in the records that the index does not know; how many there were. Old marks of deleted images go.

    Raises `StoreError`, `sqlite3.Error`.
    """
    oldest = cutoff_id(deletion.KEPT_S)
    names = (name for name in store.names() if not deletion.forget_mark(store, name, oldest) and name.endswith(".json"))
    taken = 0
    while some := await anyio.to_thread.run_sync(_next, names):
        new = [name for name in some if name.rpartition("/")[2].removesuffix(".json") not in index]
        records = await anyio.to_thread.run_sync(_records, store, new)
        index.add(records)
        taken += len(records)
    return taken


def _next(names: Iterator[str]) -> list[str]:
    return list(islice(names, _AT_A_TIME))


def _records(store: Store, names: list[str]) -> list[Record]:
    """Those that are there and whole. Blocking. Raises `StoreError`."""
    found = []
    for name in names:
        data = store.get(name)
        try:
            if data is not None:
                found.append(decode_record(data))
        except Damaged as error:
            log.error("record_damaged", name=name, reason=str(error))
    return found
