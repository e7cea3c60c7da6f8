"""How much risk of a miss a job may be accepted with: an error budget, as reliability engineers use the term. No clock.

The promise is about all accepted jobs: hardly any of them is late. While load is low or comes in bursts most have time
in hand and use up nothing of the budget; the few at risk may then be at a greater one. Under steady overload every job
is accepted as late as possible, and each may be at no more risk than the promise allows.

Half of the accepted were at risk lately: each may be late with a chance of 0.5 % / 0.5 = 1 %.
"""

_MISSES = 0.005  # of the accepted, at most; fewer in truth, since margins are learned from the worst of each moment
_MOST = 0.1  # for one job, however much time the others have
_MEMORY = 1 - 1 / 500  # of the accepted
_IMAGINED = 200  # jobs at risk, before the first
TIGHT = 0.005  # a job that is late with less than this chance has time in hand


class MissBudget:
    """Tracks which share of the accepted jobs is at risk at all."""

    def __init__(self) -> None:
        self._seen = self._tight = float(_IMAGINED)

    @property
    def allowed(self) -> float:
        """The chance of a miss with which the next job may be accepted."""
        return min(_MOST, _MISSES * self._seen / self._tight)

    def accept(self, tight: bool) -> None:
        """One was accepted; `tight`: at a risk of `TIGHT` at least."""
        self._seen = _MEMORY * self._seen + 1.0
        self._tight = _MEMORY * self._tight + tight
