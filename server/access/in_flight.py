"""Images under way, by client. Bounded by the connections there are: only clients with one under way are kept."""

from collections import Counter


class InFlight:
    """Its state: the counts."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def of(self, client: str) -> int:
        """Images of this client that are under way."""
        return self._counts.get(client, 0)

    def fits(self, client: str, count: int, most: int) -> bool:
        """Whether the client may have `count` more, if it may have `most` in all."""
        return self.of(client) + count <= most

    def begin(self, client: str, count: int = 1) -> None:
        """So many more."""
        self._counts[client] += count

    def end(self, client: str, count: int = 1) -> None:
        """So many less."""
        self._counts[client] -= count
        if not self._counts[client]:
            del self._counts[client]
