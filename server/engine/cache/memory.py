"""Answers kept in this process: bounded by bytes, the least recently used go first, none is kept for ever."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from server.engine.cache.entry import Entry, Key


class _Kept(NamedTuple):
    entry: Entry
    size: int
    """Bytes of the upload."""
    until: float


class MemoryCache:
    """The whole state: the entries, the least recently used first; the bytes they take; how many uploads of each size
    they answer, so that an upload of any other size need not be hashed to be told apart."""

    def __init__(self, max_bytes: int, ttl_s: float, clock: Callable[[], float]) -> None:
        """`max_bytes`: 0 keeps nothing."""
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._sizes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def has_size(self, size: int) -> bool:
        """Whether there is an answer to any upload of so many bytes."""
        return size in self._sizes

    def get(self, key: Key) -> Entry | None:
        """What is kept there. CORRECTNESS: compare its SHA-256 before it is used."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self.drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.entry

    def put(self, key: Key, entry: Entry, size: int) -> None:
        """Keep the answer to an upload of `size` bytes; larger than the whole cache, it is not kept."""
        self.drop(key)
        if entry.nbytes > self.max_bytes:
            return
        self._kept[key] = _Kept(entry, size, self._clock() + self._ttl_s)
        self._sizes[size] += 1
        self.nbytes += entry.nbytes
        while self.nbytes > self.max_bytes:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        """Keep nothing there any more."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self.nbytes -= kept.entry.nbytes
        self._sizes[kept.size] -= 1
        if not self._sizes[kept.size]:
            del self._sizes[kept.size]

    def forget(self, content: str, owner: str) -> int:
        """Drop whatever was answered to this content, by any model; how many. It looks at every entry."""
        keys = [key for key in self._kept if key.content == content and key.owner == owner]
        for key in keys:
            self.drop(key)
        return len(keys)
