"""How much risk of being late an image may be accepted with. No clock.

The promise is about all that are accepted: hardly any of them is late. Most have time in hand, while load is low or
comes in bursts, and add nothing to it; then those few that are at risk may be at a greater one. Under steady overload
all are accepted as late as can be, and each may be at no more risk than the promise allows.
"""

_LATE = 0.005  # of those accepted, at most; fewer in truth, since margins are learned from the worst of each moment
_MOST = 0.1  # for one image, however much time the others have
_MEMORY = 1 - 1 / 500  # of who was accepted
_IMAGINED = 200  # images at risk, before anybody was seen
TIGHT = 0.005  # who is late with less than this chance counts as having time in hand


class Risk:
    """Keeps what share of the accepted are at risk at all."""

    def __init__(self) -> None:
        self._seen = self._tight = float(_IMAGINED)

    @property
    def allowed(self) -> float:
        """With what chance of being late the next image may be accepted."""
        return min(_MOST, _LATE * self._seen / self._tight)

    def accept(self, tight: bool) -> None:
        """One was accepted, at a risk of `TIGHT` at least or not."""
        self._seen = _MEMORY * self._seen + 1.0
        self._tight = _MEMORY * self._tight + tight
