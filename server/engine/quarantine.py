"""Images that have brought down their workers: known by content, and not tried again for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable

_FOR_S = 600.0
_AT_MOST = 1000


class Quarantine:
    """Content hashes, each with an end. The oldest makes room for the newest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, digest: str) -> None:
        """Keep this content out for ten minutes from now."""
        self._until[digest] = self._clock() + _FOR_S
        self._until.move_to_end(digest)
        if len(self._until) > _AT_MOST:
            self._until.popitem(last=False)

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, digest: str) -> bool:
        until = self._until.get(digest)
        return until is not None and self._clock() < until
