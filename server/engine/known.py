"""What an engine knows of each model in its repository, and how that is shown. By value, except for `Known`."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio
import msgspec

from server.engine.table import Entry
from server.models.serving import SERVER_DECIDES, Serving
from server.repository.state import ModelState

Mark = tuple[int, int]
"""Changes when the file of a version is replaced."""


class Failure(NamedTuple):
    """Why a version does not serve. `again_at`: when it is tried again, on the engine's clock."""

    step: str
    reason: str
    again_at: float = math.inf


@dataclass(eq=False, slots=True)
class Known:
    """One model. `lock`: one load or unload at a time. `pins`: versions that somebody is about to use."""

    serving: Serving = SERVER_DECIDES
    state: ModelState = field(default_factory=ModelState)
    """As it was read last, its default filled in."""
    tag: str = ""
    failures: dict[str, Failure] = field(default_factory=dict)
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    pins: set[str] = field(default_factory=set)
    marks: dict[str, Mark] = field(default_factory=dict)
    """The versions in the folder when it was looked at last."""


class VersionView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version as it is shown."""

    version: str
    status: str
    """`available` (not loaded), `failed`, or as `LaneStatus.stage`."""
    digest: str = ""
    workers: int = 0
    """Those that are ready."""
    step: str = ""
    """Where it failed last."""
    reason: str = ""


class ModelView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model as it is shown."""

    name: str
    default: str
    """The version that answers; not yet `state.default` while that is loaded."""
    slo_s: float
    versions: tuple[VersionView, ...]
    state: ModelState
    is_default: bool = False


def view_of(entry: Entry, known: Known, there: list[str]) -> ModelView:
    """A model as it is shown; `there`: the versions in its folder."""
    versions = dict.fromkeys((*there, *entry.lanes))
    views = tuple(_version(entry, known, version) for version in versions)
    return ModelView(entry.name, entry.state.default, entry.slo_s, views, known.state, entry.is_default)


def _version(entry: Entry, known: Known, version: str) -> VersionView:
    lane, failure = entry.lanes.get(version), known.failures.get(version)
    step, reason = (failure.step, failure.reason) if failure else ("", "")
    if lane is None:
        return VersionView(version, "failed" if failure else "available", step=step, reason=reason)
    digest = lane.metadata.digest if lane.metadata else ""
    return VersionView(version, entry.stage(version), digest, lane.batcher.stats().executors, step, reason)
