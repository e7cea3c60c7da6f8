"""The models that an engine serves, each with its lanes; and which lane answers a request."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from batcher import NoExecutor
from batcher.stats import Stats, together
from server.contract.errors import UnknownModel
from server.engine.intake import LaneStatus
from server.engine.lane import Lane
from server.engine.routing import Asked, Route, Router
from server.repository.state import ModelState

_RETRY_S = 1.0
_NOTHING: Stats = Stats(0, 0, 0, 0, 0, 0.0, None, 0, 0, 0, 0, {}, {}, {})


@dataclass(eq=False, slots=True)
class Entry:
    """One model. `Table` reads it; whoever changes versions writes it."""

    name: str
    slo_s: float
    is_default: bool = False
    """It answers requests that name no model."""
    state: ModelState = field(default_factory=ModelState)
    """What routes by: its default is a version that can answer, if there is one."""
    lanes: dict[str, Lane] = field(default_factory=dict)
    """By version: all that are there, whether they take traffic or not."""
    ready: set[str] = field(default_factory=set)
    """The versions that may take traffic."""

    @property
    def default_lane(self) -> Lane | None:
        """What answers requests that name no version; None while nothing can."""
        return self.lanes.get(self.state.default) if self.state.default in self.ready else None

    def stage(self, version: str) -> str:
        """As `LaneStatus.stage`."""
        if version not in self.ready:
            return "loading" if not self.lanes[version].draining else "draining"
        if version == self.state.default:
            return "serving"
        return "standby" if version == self.state.previous else "ready"


class Table:
    """Its state: the entries by name, and the counters of lanes that have ended."""

    def __init__(self, router: Router) -> None:
        self.entries: dict[str, Entry] = {}
        self._router = router
        self._past = _NOTHING
        self._past_restarts: Counter[str] = Counter()
        self._past_lookups: Counter[str] = Counter()
        self._past_errors: Counter[str] = Counter()

    def find(self, model: str, version: str, key: Callable[[], str]) -> tuple[Lane, Route]:
        """The lane that answers. Empty names are the defaults. Raises `UnknownModel`, and `NoExecutor` for what is not
        ready."""
        entry = self.entries.get(model) if model else self.default
        if entry is None or (version and version not in entry.lanes):
            raise UnknownModel(*self.served())
        route = self._router(Asked(entry.name, version, key), entry.state, entry.ready)
        if route.version not in entry.ready:
            raise NoExecutor("no worker is ready for this version", _RETRY_S)
        return entry.lanes[route.version], route

    def ready_lanes(self, name: str) -> dict[str, Lane]:
        """The lanes of a model that may take traffic, by version."""
        entry = self.entries[name]
        if len(entry.ready) == len(entry.lanes):
            return entry.lanes
        return {version: entry.lanes[version] for version in entry.ready}

    @property
    def default(self) -> Entry | None:
        """The model that answers where none is named: the one marked so, else the only one."""
        entries = self.entries.values()
        if len(entries) == 1:
            return next(iter(entries))
        return next((entry for entry in entries if entry.is_default), None)

    @property
    def default_lane(self) -> Lane | None:
        """What answers where neither model nor version is named."""
        entry = self.default
        return entry.default_lane if entry else None

    def lanes(self) -> Iterator[Lane]:
        """All of them."""
        return (lane for entry in self.entries.values() for lane in entry.lanes.values())

    def served(self) -> list[str]:
        """What can be asked for, as NAME/VERSION."""
        return [f"{entry.name}/{version}" for entry in self.entries.values() for version in sorted(entry.ready)]

    def bury(self, lane: Lane) -> None:
        """A lane has ended: its counters go on in the sums, so that they never fall."""
        ended = lane.status()
        counters = replace(
            ended.stats, waiting=0, running=0, held_bytes=0, executors=0, free_credits=0, oldest_s=0.0,
            seconds_per_job=None, slowdown=1.0, prep_factor=1.0,
        )  # fmt: skip
        self._past = together([self._past, counters])
        self._past_restarts.update(ended.restarts)
        self._past_lookups.update(ended.reuse.lookups)
        self._past_errors.update(ended.reuse.cache_errors)

    def statuses(self) -> tuple[LaneStatus, ...]:
        """A snapshot of each lane."""
        return tuple(
            lane.status(entry.stage(version))
            for entry in self.entries.values()
            for version, lane in entry.lanes.items()
        )

    def sums(self, lanes: tuple[LaneStatus, ...]) -> tuple[Stats, dict[str, int]]:
        """The statistics of all lanes as one, those that have ended included; and the restarts by reason."""
        restarts = Counter(self._past_restarts)
        for lane in lanes:
            restarts.update(lane.restarts)
        past = () if self._past is _NOTHING else (self._past,)
        return together([lane.stats for lane in lanes] + [*past]), dict(restarts)

    def reuse(self) -> tuple[dict[str, int], dict[str, int]]:
        """Where answers came from, and the failures of caches; of all lanes."""
        lookups, errors = Counter(self._past_lookups), Counter(self._past_errors)
        for lane in self.lanes():
            stats = lane.remembering.stats()
            lookups.update(stats.lookups)
            errors.update(stats.cache_errors)
        return dict(lookups), dict(errors)
