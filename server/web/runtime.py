"""What the routes share: the engine, and whether this process is still serving."""

import time

from batcher import Refused
from preprocess.header import Header
from server.access.principal import ADDRESS, Principal
from server.contract.owner import Owner
from server.engine import Intake, Status
from server.web.http.connections import Counts
from server.web.terms import Terms


class Runtime:
    """One web process. Its only state: since when it is draining. Then it is not ready and closes connections."""

    def __init__(self, engine: Intake, connections: Counts) -> None:
        self.engine = engine
        self.connections = connections
        self._draining_since: float | None = None

    @property
    def draining(self) -> bool:
        """Whether it has been told to end."""
        return self._draining_since is not None

    @property
    def draining_s(self) -> float:
        """Seconds since then."""
        return 0.0 if self._draining_since is None else self.now() - self._draining_since

    @property
    def ready(self) -> bool:
        """Whether a load balancer should send requests here."""
        return not self.draining and self.engine.status().ready

    def drain(self) -> None:
        """Say from now on that requests should go elsewhere; those that come are served all the same."""
        if self._draining_since is None:
            self._draining_since = self.now()

    def would_refuse(
        self, principal: Principal, header: Header, size: int, terms: Terms, before: int
    ) -> Refused | None:
        """What an upload of `size` bytes that is here now is refused with, counted as refused; None if it would be
        accepted. `before`: uploads that have been let in and are not in the queue yet."""
        within_s = self.engine.slo_s if terms.timeout_s is None else terms.timeout_s
        urgency = terms.urgency_for(principal)
        return self.engine.refusal(header, size, self.now() + within_s, urgency, before, owner_of(principal))

    def status(self) -> Status:
        """A snapshot of the engine."""
        return self.engine.status()

    @staticmethod
    def wall_s() -> float:
        """Seconds of the wall clock since 1970: for ids, which tell when they were made."""
        return time.time_ns() / 1e9

    @staticmethod
    def now() -> float:
        """Seconds of CLOCK_MONOTONIC, the clock of every deadline."""
        return time.monotonic()


def owner_of(principal: Principal) -> Owner:
    """Whose share of the workers an image of this client uses."""
    return Owner(principal.id, principal.weight, "" if principal.id.startswith(ADDRESS) else principal.id)
