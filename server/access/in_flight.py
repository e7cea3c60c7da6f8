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

    def begin(self, client: str) -> None:
        """One more."""
        self._counts[client] += 1

    def end(self, client: str) -> None:
        """One less."""
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]
