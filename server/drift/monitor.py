"""The drift of all versions that one process serves: looks in, windows judged, alarms begun and ended.

`note` is called for each look and returns at once; `run` judges full windows in a thread.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
import structlog

from server.contract.answer import Reply
from server.drift import reference as references
from server.drift.labels import label_in
from server.drift.names import NAMES
from server.drift.reference import BadReference, Look, Reference
from server.drift.windows import WINDOW, Shift, Verdict, judge

_KEPT = 200  # verdicts per version, for the report
_WAITING = 8  # full windows that may wait to be judged; the oldest goes

log = structlog.stdlib.get_logger("tureen.drift")

Key = tuple[str, str]
"""Model and version."""


class Judged(NamedTuple):
    """A window, when it was judged (seconds since 1970)."""

    at: float
    verdict: Verdict


@dataclass(slots=True)
class Watched:
    """One version. `since`: when its alarm began, in seconds since 1970; None without one."""

    folder: Path
    reference: Reference | None = None
    looks: list[Look] = field(default_factory=list)
    """Of the window that is filling up."""
    window: tuple[Look, ...] = ()
    """The last full one."""
    judged: deque[Judged] = field(default_factory=lambda: deque(maxlen=_KEPT))
    since: float | None = None
    alarms: int = 0
    compared: int = 0
    """Windows."""
    collecting: int = 0
    """Looks wanted for a new reference; 0 if none is being made."""
    collected: list[Look] = field(default_factory=list)


class Monitor:
    """The whole state: `versions`, and the full windows that wait to be judged."""

    def __init__(
        self, folder_of: Callable[[str, str], Path | None], wall: Callable[[], float], window: int = WINDOW
    ) -> None:
        """`folder_of`: of a model and version, where its reference lies; None where there can be none. `wall`: seconds
        since 1970."""
        self.versions: dict[Key, Watched] = {}
        self.window = window
        self._folder_of = folder_of
        self._wall = wall
        self._full: deque[tuple[Key, tuple[Look, ...]]] = deque(maxlen=_WAITING)
        self._changed = anyio.Event()

    def note(self, reply: Reply) -> None:
        """A reply whose image was looked at."""
        if len(reply.features) != len(NAMES):
            return
        key = (reply.model.name, reply.model.version)
        watched = self.versions.get(key) or self._begin(key)
        if watched is None or not (watched.reference or watched.collecting):
            return
        look = Look(reply.features, label_in(reply.members))
        if watched.collecting:
            self._collect(key, watched, look)
        if watched.reference:
            watched.looks.append(look)
            if len(watched.looks) >= self.window:
                self._full.append((key, tuple(watched.looks)))
                watched.looks.clear()
                self._changed.set()

    def collect(self, model: str, version: str, looks: int) -> Watched:
        """Make a reference of the next `looks` looks. Raises `BadReference`."""
        if not references.LEAST_LOOKS <= looks <= references.MOST_LOOKS:
            least, most = references.LEAST_LOOKS, references.MOST_LOOKS
            raise BadReference(f"a reference is made of {least:,} to {most:,} images, got {looks:,}")
        watched = self.versions.get((model, version)) or self._begin((model, version))
        if watched is None:
            raise BadReference(f"version {version} of {model} has no folder in which a reference could be saved")
        watched.collecting, watched.collected = looks, []
        return watched

    async def run(self) -> None:
        """Judge windows until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            while self._full:
                await self._judge(*self._full.popleft())

    def forget(self, model: str, version: str) -> None:
        """The version is no longer served, or its reference has changed."""
        self.versions.pop((model, version), None)

    def alarms(self) -> Mapping[Key, bool]:
        """Whether each watched version is in alarm."""
        return {key: one.since is not None for key, one in self.versions.items() if one.reference}

    # -- inside ------------------------------------------------------------------------------------

    def _begin(self, key: Key) -> Watched | None:
        folder = self._folder_of(*key)
        if folder is None:
            return None
        watched = self.versions[key] = Watched(folder)
        try:
            watched.reference = references.load(folder)
        except BadReference as error:
            log.error("drift_reference_unusable", model=key[0], version=key[1], reason=str(error))
        return watched

    def _collect(self, key: Key, watched: Watched, look: Look) -> None:
        watched.collected.append(look)
        if len(watched.collected) < watched.collecting:
            return
        made = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="seconds")
        watched.reference = references.reference_of(watched.collected, made)
        watched.collecting, watched.collected, watched.looks = 0, [], []
        watched.window, watched.since = (), None
        watched.judged.clear()
        try:
            references.save(watched.folder, watched.reference)
        except OSError as error:
            log.error("drift_reference_not_saved", model=key[0], version=key[1], reason=error.strerror)
        else:
            log.info("drift_reference_saved", model=key[0], version=key[1], images=watched.reference.looks)

    async def _judge(self, key: Key, window: tuple[Look, ...]) -> None:
        watched = self.versions.get(key)
        if watched is None or watched.reference is None:
            return
        verdict = await anyio.to_thread.run_sync(partial(judge, watched.reference, window, watched.window))
        watched.window = window
        watched.compared += 1
        watched.judged.append(Judged(self._wall(), verdict))
        self._turn(key, watched, verdict)

    def _turn(self, key: Key, watched: Watched, verdict: Verdict) -> None:
        """Begin or end an alarm."""
        model, version = key
        if verdict.drifted and watched.since is None:
            watched.since = self._wall()
            watched.alarms += 1
            found = [_words(one) for one in verdict.shifts if one.feature in verdict.reasons]
            log.warning("drift_started", model=model, version=version, features=found)
        elif not verdict.drifted and watched.since is not None:
            lasted_s = round(self._wall() - watched.since)
            watched.since = None
            log.info("drift_ended", model=model, version=version, lasted_s=lasted_s)


def _words(shift: Shift) -> str:
    if shift.detail:
        return f"{shift.feature} ({shift.detail})"
    return f"{shift.feature} ({shift.reference_mean:.3g} before, {shift.window_mean:.3g} now)"
