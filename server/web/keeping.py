"""Keeping answered images: into the spool, and whose content has been here before."""

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import anyio
import msgspec

from server.cleanup.answered import item_of
from server.cleanup.carrier import read_state
from server.cleanup.index import Index
from server.cleanup.item import Item
from server.cleanup.spool import Spool, SpoolRefused
from server.contract.answer import Answer, Kept, Timing
from server.contract.task import ImageTask
from server.settings.topics import StorageSettings
from server.telemetry.trace_context import TraceContext

_RECORD_BYTES = 2048  # about what a record takes
_RECENT = 10_000  # images that the index may not know yet


class Figures(NamedTuple):
    """Of the spool as this process sees it, and of clean-up as it said last."""

    spooled: int
    spooled_bytes: int
    refused: Mapping[str, int]
    stored: int
    errors: Mapping[str, int]


class Keeping:
    """The whole state: the spool, the index once it can be read, and the last contents by account and hash."""

    def __init__(self, spool: Spool, settings: StorageSettings) -> None:
        self.spool = spool
        self._required = settings.store_policy == "required"
        self._redact = settings.redact
        self._index: Index | None = None
        self._recent: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def keep(
        self,
        task: ImageTask,
        answer: Answer,
        timing: Timing,
        request_id: str,
        account: str,
        within_s: float,
        trace: TraceContext | None = None,
    ) -> Kept:
        """Put an image into the spool, as this account's (`Owner.account`).

        Where images must be stored, it waits until it is on the disk, and raises `SpoolRefused` if it is not within
        `within_s`. Cancellation: the image is kept all the same.
        """
        first = self._first(answer.hash, account)
        duplicate = msgspec.UNSET if first is None else first

        def make() -> Item:
            return item_of(
                task, answer, timing, self._redact,
                request_id=request_id, account=account, duplicate_of=first or "",
                traceparent=trace.header() if trace and trace.sampled else "",
            )  # fmt: skip

        try:
            written = self.spool.put(answer.id, len(task.body) + _RECORD_BYTES, make)
        except SpoolRefused:
            if self._required:
                raise
            return Kept(False, duplicate)
        if first is None:
            self._remember(answer, account)
        if not self._required:
            return Kept("pending", duplicate)
        try:
            with anyio.fail_after(max(0.0, within_s)):
                await asyncio.shield(written)
        except TimeoutError:
            raise SpoolRefused("disk") from None
        return Kept(True, duplicate)

    def figures(self) -> Figures:
        """For the metrics."""
        spool, state = self.spool, read_state(self.spool.folder)
        return Figures(spool.count, spool.bytes, dict(spool.refused), state.stored, state.errors)

    def same(self, hash_: str, account: str | None, most: int) -> list[str]:
        """The ids of this account's stored images with this content, the first one first. None: of everybody's."""
        index = self._opened()
        return index.same(hash_, account, most) if index else []

    def search(self, owner: str | None, label: str, since: str, until: str, most: int) -> list[tuple[str, str, str]]:
        """Id, time and label of an owner's stored images, the newest first. As `Index.search`."""
        index = self._opened()
        return index.search(owner, label, since, until, most) if index else []

    def forget(self, hash_: str, account: str) -> None:
        """An image of this content was deleted."""
        self._recent.pop((account, hash_), None)

    def _first(self, hash_: str, account: str) -> str | None:
        if recent := self._recent.get((account, hash_)):
            return recent
        index = self._opened()
        try:
            return index.first(hash_, account) if index else None
        except sqlite3.Error:
            self._index = None
            return None

    def _opened(self) -> Index | None:
        if self._index is None:
            try:
                self._index = Index(self.spool.folder, read_only=True)
            except sqlite3.Error:
                return None  # clean-up makes it
        return self._index

    def _remember(self, answer: Answer, account: str) -> None:
        self._recent[account, answer.hash] = answer.id
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
