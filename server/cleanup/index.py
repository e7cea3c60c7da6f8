"""An index of the store in SQLite: what is there, by content. It can be thrown away: the store is the truth.

Clean-up writes it; others open it for reading, which never waits for the writer.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from server.cleanup.item import Record
from server.contract.answer import ModelAnswer

NAME = "index.sqlite"
_SCHEMA = """
create table if not exists images(
    id text primary key, hash text not null, owner text not null, time text not null, label text, media_type text
) without rowid;
create index if not exists by_content on images(hash, owner, id);
"""


class Index:
    """One connection to it. Not for several threads at once."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Raises `sqlite3.Error`."""
        path = folder / NAME
        if read_only:
            self._base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False, timeout=0.01)
        else:
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._base.execute("pragma journal_mode=wal")
            self._base.execute("pragma synchronous=normal")
            self._base.executescript(_SCHEMA)

    def add(self, records: Iterable[Record]) -> None:
        """These are in the store."""
        rows = [(one.id, one.hash, one.owner, one.time, label_of(one), one.media_type) for one in records]
        self._base.executemany("insert or replace into images values(?, ?, ?, ?, ?, ?)", rows)

    def remove(self, id_: str) -> None:
        """This one no longer is."""
        self._base.execute("delete from images where id = ?", (id_,))

    def first(self, hash_: str, owner: str) -> str | None:
        """The id of this owner's first image with this content."""
        row = self._base.execute(
            "select id from images where owner = ? and hash = ? order by id limit 1", (owner, hash_)
        ).fetchone()
        return row[0] if row else None

    def same(self, hash_: str, owner: str | None, most: int) -> list[str]:
        """The ids of this owner's images with this content, the first one first. `owner`: None is everybody."""
        rows = self._base.execute(
            "select id from images where hash = ? and owner = coalesce(?, owner) order by id limit ?",
            (hash_, owner, most),
        )
        return [row[0] for row in rows]

    def search(self, owner: str | None, label: str, since: str, until: str, most: int) -> list[tuple[str, str, str]]:
        """Id, time and label of images with this label ("" is any), ids from `since` to below `until`, newest first.

        `owner`: None is everybody."""
        rows = self._base.execute(
            "select id, time, coalesce(label, '') from images where owner = coalesce(?, owner) and id >= ? and id < ?"
            " and (? = '' or label = ?) order by id desc limit ?",
            (owner, since, until, label, label, most),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def before(self, id_: str, most: int) -> list[str]:
        """The oldest ids below this one: ids are ordered by time."""
        return [
            row[0] for row in self._base.execute("select id from images where id < ? order by id limit ?", (id_, most))
        ]

    def __contains__(self, id_: str) -> bool:
        return self._base.execute("select 1 from images where id = ?", (id_,)).fetchone() is not None

    def __len__(self) -> int:
        return int(self._base.execute("select count(*) from images").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()


_said = msgspec.json.Decoder(ModelAnswer)


def label_of(record: Record) -> str | None:
    """The best class that the model gave, or its own label; None for raw outputs."""
    try:
        said = _said.decode(record.answer)
    except msgspec.MsgspecError:
        return None
    if said.label:
        return said.label
    return said.predictions[0].label if said.predictions else None
