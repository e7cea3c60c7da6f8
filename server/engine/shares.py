"""Fair shares of the workers' time between owners, as a ledger. Pure: the caller says what time it is.

Work that was done is minted as credit, and divided by weight among the owners who asked lately. An image costs its
owner credit. While an owner has credit, its images have the urgency that they ask for; an image beyond its owner's
share goes behind all those within theirs. So nobody is kept from using idle workers, and nobody can push out others,
whatever urgency or deadline is claimed.
"""

from collections import OrderedDict
from typing import Final

from server.contract.owner import Owner

ACTIVE_S: Final = 1.0
"""For so long after it asked, an owner has a share."""
_KEPT: Final = 20_000
"""Owners whose credit is kept after that; the longest silent is forgotten first."""


class _Account:
    """`credit`: seconds of work at the time when `minted` was the total."""

    __slots__ = ("asked", "credit", "minted", "weight")

    def __init__(self, credit: float, minted: float, weight: float, asked: float) -> None:
        self.credit = credit
        self.minted = minted
        self.weight = weight
        self.asked = asked


class Shares:
    """Its state: an account per owner, those who asked lately apart and in the order of asking; the credit minted so
    far per unit of weight."""

    def __init__(self, burst_s: float, kept: int = _KEPT) -> None:
        """`burst_s`: seconds of work that an owner of weight 1 may save up."""
        self._burst_s = burst_s
        self._kept = kept
        self._active: OrderedDict[str, _Account] = OrderedDict()
        self._silent: OrderedDict[str, _Account] = OrderedDict()
        self._weight = 0.0
        self._minted = 0.0
        self._retire_at = float("-inf")
        """No owner loses its share before."""

    @property
    def owners(self) -> int:
        """Accounts held."""
        return len(self._active) + len(self._silent)

    def is_within(self, owner: Owner, cost_s: float, now: float) -> bool:
        """Whether an image that takes `cost_s` seconds of a worker is within its owner's share; nothing is charged.

        No share applies to an owner without an id: it may be many clients.
        """
        if not owner.id:
            return True
        account = self._asking(owner, now)
        return len(self._active) == 1 or account.credit >= min(cost_s, self._burst_s * account.weight)

    def charge(self, owner: Owner, cost_s: float, now: float) -> bool:
        """As `is_within`, and charge it if it is. What is beyond the share is free: it only uses what others leave."""
        if not owner.id:  # no share applies
            return True
        account = self._asking(owner, now)
        if len(self._active) > 1 and account.credit < min(cost_s, self._burst_s * account.weight):
            return False
        account.credit = max(0.0, account.credit - cost_s)
        return True

    def give_back(self, owner: Owner, cost_s: float) -> None:
        """What was charged was refused after all, before any work was done."""
        account = self._active.get(owner.id) or self._silent.get(owner.id)
        if account:
            account.credit = min(self._burst_s * account.weight, account.credit + cost_s)

    def mint(self, done_s: float) -> None:
        """Work of `done_s` seconds was done, whoever it was for."""
        if self._weight > 0:
            self._minted += done_s / self._weight

    def _asking(self, owner: Owner, now: float) -> _Account:
        """The account of an owner that asks now, its credit up to date."""
        if now >= self._retire_at:
            self._retire(now)
        account = self._active.get(owner.id)
        if account is None:
            account = self._silent.pop(owner.id, None) or _Account(
                self._burst_s * owner.weight, self._minted, owner.weight, now
            )
            self._active[owner.id] = account
            self._weight += account.weight
        else:
            self._active.move_to_end(owner.id)
        account.asked = now
        self._update(account)
        if account.weight != owner.weight:  # its key was changed
            self._weight += owner.weight - account.weight
            account.weight = owner.weight
        return account

    def _update(self, account: _Account) -> None:
        gained = (self._minted - account.minted) * account.weight
        account.credit = min(self._burst_s * account.weight, account.credit + gained)
        account.minted = self._minted

    def _retire(self, now: float) -> None:
        """Owners that have not asked for a while lose their share, and keep their credit."""
        while self._active:
            name, account = next(iter(self._active.items()))
            if now - account.asked < ACTIVE_S:
                self._retire_at = account.asked + ACTIVE_S
                break
            self._update(account)
            del self._active[name]
            self._weight = self._weight - account.weight if self._active else 0.0
            self._silent[name] = account
            if len(self._silent) > self._kept:
                self._silent.popitem(last=False)
