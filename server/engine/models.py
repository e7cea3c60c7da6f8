"""The models of a repository: loaded, changed and unloaded while they are served.

What is to be served is the state of each model (server/repository/state.py), which every replica follows. An action
here first makes sure that this replica can do it, then writes the state, then follows it like all others
(server/engine/following.py).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread
import msgspec
import structlog
from anyio.abc import TaskGroup, TaskStatus

from preprocess.limits import Limits
from server.engine.known import Failure, Known, ModelView, view_of
from server.engine.lane import Common, Lane, LaneSpec
from server.engine.loading import LoadFailed, check_contract, check_golden, until_whole, warm_up
from server.engine.table import Entry, Table
from server.models.errors import ModelError
from server.models.serving import Serving
from server.repository import state as states
from server.repository.errors import Conflict, NoSuchModel, RepositoryError, StateError
from server.repository.folder import Folder
from server.repository.state import ModelState
from server.repository.store import StateStore
from server.settings.topics import RepositorySettings

_TRIES = 10  # to write a state that others write, too
_AGAIN_S = 10.0  # until a version that has served, and lost its workers, is tried again

_LEAST_SHARE = 0.05  # of the cores, for the models whose cards say nothing, where those of the others ask for all

log = structlog.stdlib.get_logger("tureen.models")

Change = Callable[[ModelState], ModelState]


class Models:
    """Fills the table. Its state: what is known of each model, and the changes counted by action and result."""

    def __init__(
        self,
        table: Table,
        common: Common,
        tasks: TaskGroup,
        folder: Folder,
        store: StateStore,
        settings: RepositorySettings,
        wall_s: Callable[[], float],
    ) -> None:
        """`wall_s`: seconds since 1970."""
        self.changes: Counter[str] = Counter()
        self.known: dict[str, Known] = {}
        self.on_state: list[Callable[[str, ModelState], None]] = []
        """Called with a model's name and its state when that has been read or written."""
        self.table = table
        self.folder = folder
        self.wall_s = wall_s
        self._common = common
        self._tasks = tasks
        self._store = store
        self._settings = settings
        self._stopped = False
        self._limits = Limits(max_pixels=common.settings.upload.max_pixels)

    # -- what there is -------------------------------------------------------------------------------

    async def view(self) -> list[ModelView]:
        """All models, by value."""
        return [await self.view_of(name) for name in sorted(self.known)]

    async def view_of(self, name: str) -> ModelView:
        """One model. Raises `NoSuchModel`."""
        entry = self._entry(name)
        there = await anyio.to_thread.run_sync(self.folder.versions, name)
        return view_of(entry, self.known[name], there)

    def state(self, name: str) -> ModelState:
        """The state as it was read last. Raises `NoSuchModel`."""
        return self.known[self._entry(name).name].state

    # -- what can be done ----------------------------------------------------------------------------

    async def load(self, name: str, version: str, *, force: bool = False) -> None:
        """Hold a version ready for traffic. `force`: although it takes or gives something else than the one before.

        Raises `LoadFailed`, `NoSuchModel`, `StateError`, `StoreFailed`. Cancellation: it is not loaded.
        """
        entry = self._entry(name)
        with self._counted("load"), self._pinned(name, version):
            await self.bring_up(entry, version, force=force)
            await self.change(name, lambda state: states.with_loaded(state, version))

    async def unload(self, name: str, version: str) -> None:
        """Let go of a version, once it has answered what it has. Raises `StateError`, `StoreFailed`."""
        entry = self._entry(name)
        with self._counted("unload"):
            if version not in entry.lanes:
                raise StateError(f"{name} {version} is not loaded")
            await self.change(name, lambda state: states.without(state, version))
            await self.retire(entry, version)

    async def promote(self, name: str, version: str, *, force: bool = False) -> None:
        """Let a version answer, loading it first where it is not. The old one stays loaded for a while.

        Raises and cancellation as `load`.
        """
        entry, standby_s = self._entry(name), self._settings.standby
        with self._counted("promote"), self._pinned(name, version):
            await self.bring_up(entry, version, force=force)
            await self.change(name, lambda state: states.promoted(state, version, self.wall_s(), standby_s))
            log.info("model_promoted", model=name, version=version)

    async def rollback(self, name: str) -> None:
        """Let the version answer that did before: at once, if it is still loaded. Raises and cancellation as `load`."""
        entry, standby_s = self._entry(name), self._settings.standby
        with self._counted("rollback"):
            version = states.rolled_back(self.state(name), 0.0, standby_s).default
            with self._pinned(name, version):
                await self.bring_up(entry, version, force=True)
                await self.change(name, lambda state: states.rolled_back(state, self.wall_s(), standby_s))
            log.info("model_rolled_back", model=name, version=version)

    async def change(self, name: str, change: Change) -> ModelState:
        """Write another state, made of the one that stands there, and follow it. `change` may be called again.

        Raises what `change` raises; `StateError`, `StoreFailed`, `Conflict`.
        """
        known = self.known[self._entry(name).name]
        for _ in range(_TRIES):
            wanted = change(known.state)
            if wanted == known.state:
                return wanted
            wanted = states.next_generation(wanted)
            try:
                tag = await anyio.to_thread.run_sync(self._store.write, name, wanted, known.tag)
            except Conflict:
                await self.read(name)
                continue
            self._adopt(name, wanted, tag)
            return wanted
        raise Conflict(f"the state of {name} is changed by others all the time")

    # -- for following -------------------------------------------------------------------------------

    def stop(self) -> None:
        """Load nothing any more; what is being loaded ends."""
        self._stopped = True
        for entry in self.table.entries.values():
            for version in entry.lanes.keys() - entry.ready:
                entry.lanes[version].abort()

    def add(self, name: str, serving: Serving, state: ModelState) -> None:
        """There is one more model; `state` is what is to be served while nobody has written another."""
        self.table.entries[name] = Entry(name, serving.slo_s or self._common.settings.slo, serving.default, state)
        self.known[name] = Known(serving, state)

    async def read(self, name: str) -> None:
        """Take in the state of a model, if another replica has changed it. Raises `StoreFailed`."""
        stored = await anyio.to_thread.run_sync(self._store.read, name)
        known = self.known[name]
        if stored.tag != known.tag and stored.state.generation >= known.state.generation:
            self._adopt(name, *stored)

    def route(self, name: str) -> None:
        """Have the default answer as soon as it can; until then whatever did."""
        entry, state = self.table.entries[name], self.known[name].state
        can = [one for one in (state.default, entry.state.default, state.previous) if one in entry.ready]
        entry.state = msgspec.structs.replace(state, default=can[0] if can else state.default)

    async def bring_up(self, entry: Entry, version: str, *, force: bool) -> None:
        """Bring a version to where it may take traffic. Raises `LoadFailed`; then nothing has changed."""
        known = self.known[entry.name]
        async with known.lock:
            if version in entry.ready:
                return
            try:
                lane = await self._loaded(entry, version, force=force)
            except LoadFailed as error:
                known.failures[version] = Failure(error.step, str(error))
                log.error("model_load_failed", model=entry.name, version=version, step=error.step, reason=str(error))
                raise
            known.failures.pop(version, None)
            entry.ready.add(version)
            self.route(entry.name)
            digest = lane.metadata.digest if lane.metadata else ""
            log.info("model_loaded", model=entry.name, version=version, digest=digest)

    async def retire(self, entry: Entry, version: str) -> None:
        """Let go of a version: no new tasks, answers for those it has, and its end."""
        async with self.known[entry.name].lock:
            lane = entry.lanes.get(version)
            if lane is None or version not in entry.ready:
                return
            entry.ready.discard(version)
            await lane.drain()
            lane.end()
            await lane.over.wait()
            log.info("model_unloaded", model=entry.name, version=version)

    # -- inside --------------------------------------------------------------------------------------

    async def _loaded(self, entry: Entry, version: str, *, force: bool) -> Lane:
        """A lane that has passed all steps. Raises `LoadFailed`; then it has ended."""
        name, serving, patience_s = entry.name, self.known[entry.name].serving, self._settings.load_timeout
        try:
            await anyio.to_thread.run_sync(self.folder.sync)
            located = await anyio.to_thread.run_sync(self.folder.locate, name, version)
            spec = LaneSpec(
                name, version, located.model_file.parent, entry.slo_s, self._share(name), serving.workers,
                candidate=True, patience_s=patience_s,
            )  # fmt: skip
            lane = Lane(spec, self._common)
            await self._tasks.start(self._live, entry, lane)
        except (ModelError, RepositoryError, OSError) as error:
            raise LoadFailed("files", str(error)) from error
        model, before = self.folder.path / name, entry.default_lane
        try:
            metadata = await until_whole(lane, patience_s)
            if before and before.metadata and not force:
                check_contract(before.metadata, metadata)
            await warm_up(lane, serving.warm_up, model, self._limits)
            await check_golden(lane, model, self._limits)
        except BaseException:
            lane.abort()
            with anyio.CancelScope(shield=True):
                await lane.over.wait()
            raise
        return lane

    def _share(self, name: str) -> float:
        """A model's part of the cores: its card's, or an equal part of what the other cards leave."""
        given = [known.serving.share for known in self.known.values() if known.serving.share is not None]
        left = max(_LEAST_SHARE, 1.0 - sum(given)) / max(1, len(self.known) - len(given))
        return self.known[name].serving.share or left

    async def _live(self, entry: Entry, lane: Lane, *, task_status: TaskStatus[None]) -> None:
        """The whole life of a lane. Raises `ModelError` before it has started."""
        version = lane.spec.version

        def started() -> None:
            entry.lanes[version] = lane
            if self._stopped:
                lane.abort()
            task_status.started()

        await lane.serve(started)
        if lane.failure and version in entry.ready:
            again_at = self._common.clock() + _AGAIN_S
            self.known[entry.name].failures[version] = Failure("open", lane.failure, again_at)
            log.error("model_failed", model=entry.name, version=version, reason=lane.failure)
        entry.ready.discard(version)
        del entry.lanes[version]
        self.table.bury(lane)
        self.route(entry.name)
        lane.over.set()

    def _adopt(self, name: str, state: ModelState, tag: str) -> None:
        """From now on this is what is to be served."""
        known = self.known[name]
        if not state.default:
            state = msgspec.structs.replace(state, default=known.state.default)
        known.state, known.tag = state, tag
        self.route(name)
        for call in self.on_state:
            call(name, state)

    @contextmanager
    def _counted(self, action: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.changes[f"{action} failed"] += 1
            raise
        self.changes[f"{action} ok"] += 1

    @contextmanager
    def _pinned(self, name: str, version: str) -> Iterator[None]:
        """Meanwhile it is not let go of, although no state says yet that it is wanted."""
        pins = self.known[name].pins
        pinned = version in pins
        pins.add(version)
        try:
            yield
        finally:
            if not pinned:
                pins.discard(version)

    def _entry(self, name: str) -> Entry:
        entry = self.table.entries.get(name)
        if entry is None:
            raise NoSuchModel(f"there is no model {name!r}: there is {', '.join(self.table.entries) or 'none'}")
        return entry
